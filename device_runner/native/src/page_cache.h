// The kernel's cache of a file: dropped before a cold load, filled before a warm one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgebench {

// True when no page of the file is cached any more; otherwise `reason` says why not.
bool drop_cached(int fd, uint64_t bytes, char* reason, size_t reason_size);
void fill_cache(int fd, uint64_t bytes);

}  // namespace edgebench
