// Several copies of the model that infer side by side, each with a session of its own, in threads of one process.
#pragma once

#include <string>

#include "failure.h"
#include "job.h"
#include "paths.h"
#include "phases.h"
#include "pipeline.h"
#include "plan.h"
#include "samples.h"

namespace edgebench {

class Streams {
 public:
  // Loads the copies; `first` is the one that is there already. All outlive this.
  bool open(const Plan& plan, const Directory& dir, const char* lib_dir, Pipeline* first, Failure* failure);
  // One phase of all. It begins when every thread is there and ends for all at once, when the last of them has met the
  // minima: until then every stream is at work. `timed` has the sum of the samples and the time of the slowest.
  bool time_phase(const PhasePlan& phase, SampleFile* samples, bool warmup, Timed* timed, Failure* failure);

 private:
  std::vector<Pipeline*> pipelines_;
};

}  // namespace edgebench
