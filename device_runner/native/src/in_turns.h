// The timed calls where several processes take turns: what slows the device down then meets all of them alike.
#pragma once

#include "baton.h"
#include "phases.h"

namespace edgebench {

// As time_phase. Each turn is one call that nobody times, as its caches are another's, then calls until the plan's turn_ms
// have passed; only those count towards min_ms and elapsed_ns. A phase ends when all have met its minima, or at max_count.
bool time_in_turns(Pipeline* pipeline, const PhasePlan& phase, const Plan& plan, const Turns& turns, Round round, Sample* out,
                   Timed* timed, Failure* failure);

// Lets the others have their turns until they are done with the steady phase, and has the turn then.
void wait_for_others(const Turns& turns);

}  // namespace edgebench
