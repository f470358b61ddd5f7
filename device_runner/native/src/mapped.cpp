#include "mapped.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace edgebench {

bool map_new_file(const Directory& dir, const char* name, size_t bytes, const void* header, size_t header_bytes, void** map,
                  Failure* failure) {
  int fd = -1;
  if (!create_file(dir.fd, name, &fd, failure)) return false;
  // The blocks themselves, not a hole: a full disk must show now and not as a signal in the middle of a phase.
  int error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  if (error != 0) {
    close(fd);
    return fail(failure, Code::output_failed, "%s: %s", name, strerror(error));
  }
  *map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  error = errno;
  close(fd);
  if (*map == MAP_FAILED) return fail(failure, Code::output_failed, "%s: %s", name, strerror(error));
  memset(*map, 0, bytes);  // every page is there and writable before the first sample
  memcpy(*map, header, header_bytes);
  return true;
}

bool write_at(int fd, const void* data, size_t bytes, uint64_t offset) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    ssize_t n = pwrite(fd, at, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    bytes -= static_cast<size_t>(n);
    offset += static_cast<uint64_t>(n);
  }
  return true;
}

bool copy_bytes(int from, uint64_t from_byte, int to, uint64_t to_byte, uint64_t bytes) {
  char block[65536];
  while (bytes > 0) {
    size_t some = bytes < sizeof block ? static_cast<size_t>(bytes) : sizeof block;
    if (!read_at(from, block, some, from_byte) || !write_at(to, block, some, to_byte)) return false;
    from_byte += some;
    to_byte += some;
    bytes -= some;
  }
  return true;
}

}  // namespace edgebench
