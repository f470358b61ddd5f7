// Bytes without meaning, to measure how many of them a link takes.
#pragma once

#include <cstdint>
#include <vector>

#include "failure.h"

namespace edgebench {

class Bulk {
 public:
  Bulk();
  // Bytes that no tunnel can make smaller.
  bool give(int fd, uint64_t bytes, Failure* failure) const;
  // Thrown away; `elapsed_ns` is from the first of them to the last.
  bool take(int fd, uint64_t bytes, int64_t* elapsed_ns, Failure* failure);

 private:
  std::vector<uint8_t> noise_, scratch_;
};

}  // namespace edgebench
