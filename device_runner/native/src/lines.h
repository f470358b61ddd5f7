// Complete lines out of a pipe that may be cut at any byte.
#pragma once

#include <string>

namespace edgebench {

class LineReader {
 public:
  // The next complete line, without its end; false when there is none yet, or no more.
  bool next(int fd, std::string* line);
  bool closed() const { return closed_; }

 private:
  std::string pending_;
  bool closed_ = false;
};

}  // namespace edgebench
