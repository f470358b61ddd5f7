// The sample file: preallocated and mapped before the first call, so that taking a sample is one store and what
// was measured outlives the worker.
#pragma once

#include <time.h>

#include <cstdint>

#include "failure.h"
#include "paths.h"

namespace edgebench {

struct Sample {
  int64_t start_ns;
  int64_t elapsed_ns;  // at least 1; 0 was never written
};

constexpr char kSamplesName[] = "samples.bin";

class SampleFile {
 public:
  bool create(const Directory& dir, uint64_t warmup_capacity, uint64_t steady_capacity, Failure* failure);
  Sample* warmup() { return warmup_; }
  Sample* steady() { return steady_; }

 private:
  Sample* warmup_ = nullptr;
  Sample* steady_ = nullptr;
};

struct SampleCounts {
  uint64_t warmup = 0;
  uint64_t steady = 0;
};

// What a sample file holds so far; zeros where there is none. Safe on a file that is being written, or is not ours.
SampleCounts count_samples(int dir_fd);

inline int64_t now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<int64_t>(time.tv_sec) * 1000000000 + time.tv_nsec;
}

}  // namespace edgebench
