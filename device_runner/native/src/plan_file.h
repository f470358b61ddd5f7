// The plan's file: found, read whole and parsed.
#pragma once

#include <string>

#include "paths.h"
#include "plan.h"

namespace edgebench {

// `path` may be anywhere; what the plan names is then looked for in the directory that it is in.
bool read_plan_file(const std::string& path, Directory* dir, std::string* text, Failure* failure);
bool load_plan(const std::string& path, Directory* dir, Plan* plan, Failure* failure);

}  // namespace edgebench
