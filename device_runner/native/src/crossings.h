// Inferences whose last stage is on the far side: what each was made of, and what is done when the link drops.
#pragma once

#include <cstdint>
#include <vector>

#include "failure.h"
#include "job.h"
#include "paths.h"
#include "phases.h"
#include "pipeline.h"
#include "plan.h"
#include "samples.h"

namespace edgebench {

constexpr char kCrossingsName[] = "crossings.bin";

// A record of crossings.bin: durations.
struct Crossing {
  int64_t near_ns;        // the stages here, to the first byte sent
  int64_t round_trip_ns;  // to the last byte received
  int64_t far_ns;         // of it, what the far side measured of itself
};

// The link was lost in a phase and came back.
struct Gap {
  uint64_t after;  // samples of the phase that came before it
  int64_t start_ns;
  int64_t elapsed_ns;
  char reason[sizeof(Failure::message)];
};

class Crossings {
 public:
  bool create(const Directory& dir, const Plan& plan, Failure* failure);
  // One inference; where the link drops it is connected again and the inference repeated. `sample` and `crossing` are of the
  // one that came through.
  bool infer(Pipeline* pipeline, Sample* sample, Crossing* crossing, Failure* failure);
  // As `edgebench::time_phase`, each sample with its crossing. What the link was away for is in no sample and no phase.
  bool time_phase(Pipeline* pipeline, const PhasePlan& phase, bool warmup, Sample* out, Timed* timed, Failure* failure);
  // Sends the gaps since the last time.
  void report(Channel* channel, const char* phase);

 private:
  bool mend(Pipeline* pipeline, uint64_t after, int64_t start_ns, Failure* failure);

  Crossing* first_ = nullptr;
  uint64_t warmup_capacity_ = 0;
  std::vector<Gap> gaps_;
  size_t reported_ = 0;
};

// As pack_samples, which has gone before or goes after: what is kept is as much as there are samples.
void pack_crossings(int dir_fd);

}  // namespace edgebench
