// What the kernel says of a process.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>

#include "events.h"

namespace edgebench {

uint64_t resident_kb(pid_t pid);  // 0 where it cannot be told
// Whether it is gone, or dead with nobody having waited for it yet.
bool has_ended(pid_t pid);
uint64_t peak_resident_kb();      // of this process, since it was forked
// What this process has resident now, and had at most; `at`: how far it is.
Line memory_line(const char* at);
Line usage_line(const rusage& usage, uint64_t peak_kb);

}  // namespace edgebench
