#include "page_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "paths.h"

namespace edgebench {

bool drop_cached(int fd, uint64_t bytes, char* reason, size_t reason_size) {
  fsync(fd);  // dirty pages cannot be dropped
  int error = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  if (error != 0) {
    snprintf(reason, reason_size, "the page cache cannot be dropped: %s", strerror(error));
    return false;
  }
  // Advice may be ignored (another process has the file mapped, a file system in memory), so look.
  void* map = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) {
    snprintf(reason, reason_size, "the page cache cannot be inspected: %s", strerror(errno));
    return false;
  }
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((bytes + page - 1) / page);
  int inspected = mincore(map, bytes, resident.data());
  error = errno;
  munmap(map, bytes);
  if (inspected != 0) {
    snprintf(reason, reason_size, "the page cache cannot be inspected: %s", strerror(error));
    return false;
  }
  size_t kept = 0;
  for (unsigned char flags : resident) kept += flags & 1;
  if (kept != 0)
    snprintf(reason, reason_size, "the page cache kept %zu of %zu pages", kept, resident.size());
  return kept == 0;
}

void fill_cache(int fd, uint64_t bytes) {
  std::vector<char> block(1u << 20);
  for (uint64_t offset = 0; offset < bytes; offset += block.size()) {
    size_t rest = static_cast<size_t>(bytes - offset < block.size() ? bytes - offset : block.size());
    if (!read_at(fd, block.data(), rest, offset)) return;
  }
}

}  // namespace edgebench
