// A run that goes on without the connection that started it: started, asked after, ended.
#pragma once

#include <sys/types.h>

#include "failure.h"
#include "paths.h"

namespace edgebench {

// Marks the directory as ours for as long as this process lives. The lock, not the number in the file, is what
// says that a run is alive: a number may be another process's by now.
bool claim(const Directory& dir, int* lock_fd, Failure* failure);

// Leaves the caller's session. In the child, returns true with its output going to the directory's files and
// everything claimed; in the parent, `*child` is set once that is so.
bool detach(const Directory& dir, pid_t* child, Failure* failure);

int poll_command(const char* path);
int cancel_command(const char* path);

}  // namespace edgebench
