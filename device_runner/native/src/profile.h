// What the runtimes' own profilers tell of the operators, as events.
#pragma once

#include "job.h"
#include "paths.h"
#include "pipeline.h"

namespace edgebench {

// What files of profilers begin with, in the plan's directory.
constexpr char kProfilePrefix[] = "profile-";

// An `operator` line for each operator, and a `profile` line for each stage: how it was had, or why nothing is known.
void report_profile(Channel* channel, const Directory& dir, Pipeline* pipeline);

}  // namespace edgebench
