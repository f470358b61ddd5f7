// Files named by a plan: opened only when they lie inside the plan's own directory, symbolic links followed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "failure.h"

namespace edgebench {

struct Directory {
  int fd = -1;
  std::string real;  // without symbolic links
};

struct OpenFile {
  int fd = -1;
  uint64_t bytes = 0;
  std::string real;
};

// The failures to report: for a file that is not there, and for one that is no regular file.
struct FileCodes {
  Code missing;
  Code unusable;
};

bool open_directory(const std::string& path, Code missing, Directory* out, Failure* failure);

// Relative, no "..", nothing odd. Looks at the text alone.
bool is_confined(const std::string& path);

bool open_inside(const Directory& dir, const std::string& path, FileCodes codes, OpenFile* out, Failure* failure);

// As open_inside, for a path given on the command line: anywhere, but a regular file.
bool open_anywhere(const std::string& path, FileCodes codes, OpenFile* out, Failure* failure);

// A new empty file in a directory that is made where missing. Whatever had that name is replaced, never followed.
bool make_directories(const Directory& dir, const std::string& path, int* out, Failure* failure);
bool create_file(int dir_fd, const char* name, int* out, Failure* failure);

bool read_all(int fd, size_t limit, std::string* out);
bool read_at(int fd, void* data, size_t bytes, uint64_t offset);

}  // namespace edgebench
