// The timed calls.
#pragma once

#include <cstdint>

#include "failure.h"
#include "pipeline.h"
#include "plan.h"
#include "samples.h"

namespace edgebench {

struct Timed {
  uint64_t count = 0;
  int64_t elapsed_ns = 0;
  uint64_t turns = 0;  // where they are taken, and those of them that another was not there for
  uint64_t alone = 0;
};

bool time_first(Pipeline* pipeline, Sample* out, Failure* failure);
// By the plan's spin_percent each call is made to take so much longer; by its rest_us there is that much idleness before each.
bool time_phase(Pipeline* pipeline, const PhasePlan& phase, const Plan& plan, Sample* out, Timed* timed, Failure* failure);

void rest(uint64_t microseconds);

}  // namespace edgebench
