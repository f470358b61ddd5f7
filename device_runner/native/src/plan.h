// The plan: parsed, every field checked, nothing opened yet.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "failure.h"
#include "far_plan.h"
#include "json.h"
#include "tensor.h"

namespace edgebench {

struct Adapter {
  enum class Op { cast, quantize, dequantize, transpose, reshape };
  Op op = Op::cast;
  DType to = DType::other;
  double scale = 0;
  int64_t zero_point = 0;
  Shape axes;  // perm of a transpose, shape of a reshape
};

struct TensorPlan {
  std::string name;
  DType dtype = DType::other;
  Shape shape;
  std::vector<Adapter> adapters;
  std::string file;       // of an input that is stored
  size_t from_stage = 0;  // of an input without a file: the earlier stage, and which of its outputs
  size_t from_output = 0;
  int link = -1;          // of an input of a far side: which tensor of a request
  bool taken = false;  // of an output: a later stage takes it
  bool write = true;   // of an output: it is kept
};

// One model and its ends. A later stage takes what earlier ones give.
struct StagePlan {
  std::string model;  // empty where the stage is on the far side
  std::vector<TensorPlan> inputs;
  std::vector<TensorPlan> outputs;
};

struct PhasePlan {
  uint64_t min_count = 0;
  uint64_t min_ms = 0;
  uint64_t max_count = 0;
};

constexpr uint64_t kMaxTurnMs = 1000;

struct Plan {
  std::string runtime;
  std::string backend;
  int threads = 1;
  int streams = 1;          // copies of the model that infer side by side
  double spin_percent = 0;  // of each timed call's own time, added to it; for tests of what finds a slowdown
  uint64_t rest_us = 0;       // idle before each timed call, as who waits for another device is
  uint64_t turn_ms = 0;       // of a turn, where several processes take turns; 0: this one works alone
  std::vector<int> affinity;  // empty: no pinning
  std::vector<StagePlan> stages;  // at least one
  uint64_t cases = 1;
  PhasePlan warmup;
  PhasePlan steady;
  double max_seconds = 0;
  uint64_t max_memory_mb = 0;
  std::string write_outputs;  // empty: outputs are not kept
  uint64_t output_cases = 0;
  bool load_cold = true;
  bool memory = false;   // said at each step
  bool profile = false;  // with the runtime's own profiler on: its times are not for comparing
  FarPlan far;           // where the last stage is on another device
  ServePlan serve;       // where this is the plan of a far side
};

bool parse_plan(const std::string& text, Plan* plan, Failure* failure);

// One entry of "adapters".
bool parse_adapter(const Json& json, const std::string& where, Adapter* out, Failure* failure);

}  // namespace edgebench
