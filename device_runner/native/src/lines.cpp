#include "lines.h"

#include <unistd.h>

#include <cerrno>

namespace edgebench {

constexpr size_t kMaxLine = 4u << 20;  // a longer one is no event; dropped, so that memory stays bounded

bool LineReader::next(int fd, std::string* line) {
  for (;;) {
    size_t end = pending_.find('\n');
    if (end != std::string::npos) {
      *line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return true;
    }
    if (closed_) return false;
    if (pending_.size() > kMaxLine) pending_.clear();
    char block[16384];
    ssize_t n = read(fd, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) closed_ = true;
    else pending_.append(block, static_cast<size_t>(n));
  }
}

}  // namespace edgebench
