// A file that samples are stored into: made, with its blocks and its pages there before the first store.
#pragma once

#include <cstddef>
#include <cstdint>

#include "failure.h"
#include "paths.h"

namespace edgebench {

// `header` goes to its start; all else is zero.
bool map_new_file(const Directory& dir, const char* name, size_t bytes, const void* header, size_t header_bytes, void** map,
                  Failure* failure);

// What was stored, taken to another file: a part at a time.
bool write_at(int fd, const void* data, size_t bytes, uint64_t offset);
bool copy_bytes(int from, uint64_t from_byte, int to, uint64_t to_byte, uint64_t bytes);

}  // namespace edgebench
