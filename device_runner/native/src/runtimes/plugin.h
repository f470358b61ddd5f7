// A runtime whose API is C++ lives in a library of its own, linked against that runtime, and is opened only when it
// is asked for. It exports this one function.
#pragma once

#include "../runtime.h"

namespace edgebench {

constexpr int kPluginVersion = 4;  // of runtime.h; a plugin of another build is refused
constexpr char kPluginEntry[] = "edgebench_plugin";

// Null where the versions differ.
using PluginEntry = Runtime*(int version);

}  // namespace edgebench
