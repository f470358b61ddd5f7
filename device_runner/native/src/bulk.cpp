#include "bulk.h"

#include <algorithm>

#include "samples.h"
#include "socket.h"

namespace edgebench {

namespace {

constexpr size_t kBlock = 256 * 1024;

}  // namespace

Bulk::Bulk() : noise_(kBlock), scratch_(kBlock) {
  // xorshift64 (Marsaglia, 2003): looking random is enough.
  uint64_t state = 0x9e3779b97f4a7c15;
  for (uint8_t& byte : noise_) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<uint8_t>(state >> 32);
  }
}

bool Bulk::give(int fd, uint64_t bytes, Failure* failure) const {
  while (bytes > 0) {
    const size_t now = static_cast<size_t>(std::min<uint64_t>(bytes, noise_.size()));
    if (!send_bytes(fd, noise_.data(), now, failure)) return false;
    bytes -= now;
  }
  return true;
}

bool Bulk::take(int fd, uint64_t bytes, int64_t* elapsed_ns, Failure* failure) {
  *elapsed_ns = 0;
  if (bytes == 0) return true;
  if (!receive_bytes(fd, scratch_.data(), 1, failure)) return false;
  const int64_t start = now_ns();
  for (--bytes; bytes > 0;) {
    const size_t now = static_cast<size_t>(std::min<uint64_t>(bytes, scratch_.size()));
    if (!receive_bytes(fd, scratch_.data(), now, failure)) return false;
    bytes -= now;
  }
  *elapsed_ns = now_ns() - start;
  return true;
}

}  // namespace edgebench
