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

constexpr uint64_t kMaxStreams = 64;
constexpr char kSamplesName[] = "samples.bin";

class SampleFile {
 public:
  // The capacities are of each stream.
  bool create(const Directory& dir, uint64_t warmup_capacity, uint64_t steady_capacity, uint64_t streams,
              Failure* failure);
  Sample* warmup(size_t stream = 0) { return first_ + stream * (warmup_capacity_ + steady_capacity_); }
  Sample* steady(size_t stream = 0) { return warmup(stream) + warmup_capacity_; }

 private:
  Sample* first_ = nullptr;
  uint64_t warmup_capacity_ = 0;
  uint64_t steady_capacity_ = 0;
};

struct SampleCounts {
  uint64_t warmup = 0;
  uint64_t steady = 0;
};

// What a sample file holds so far; zeros where there is none. Safe on a file that is being written, or is not ours.
SampleCounts count_samples(int dir_fd);

// Leaves of the sample file what was written: it has room for the longest run, and travels over cables. Once nobody writes
// it any more; a file that cannot be packed (a full disk) stays as it is, and is as good.
void pack_samples(int dir_fd);

inline int64_t now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<int64_t>(time.tv_sec) * 1000000000 + time.tv_nsec;
}

}  // namespace edgebench
