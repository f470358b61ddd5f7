// The stages of a plan in this process: their models, one after the other, as one inference. Most plans have one stage.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bindings.h"
#include "failure.h"
#include "far_stage.h"
#include "paths.h"
#include "plan.h"
#include "runtime.h"

namespace edgebench {

class Pipeline {
 public:
  // A tensor that is kept: its place in the plan, and where it is after adapt_outputs().
  struct Output {
    const TensorPlan* plan;
    const void* data;
    uint64_t bytes;
  };

  // Opens every file that the plan names. Needs no library, so it is done before one is opened. The plan outlives this, and so
  // does the token of a plan with a far stage.
  bool open_files(const Plan& plan, const Directory& dir, Failure* failure);
  void let_in_with(const std::string& token) { token_ = token; }
  // Also connects to the far side, where a stage is there.
  bool open_library(const char* lib_dir, Failure* failure);
  // The first stage's; each stage has an instance of the same runtime.
  Runtime* runtime() { return stages_[0].runtime; }
  FarStage* far() { return far_; }  // null where every stage is here
  // Loads every model; the one of stage n with a profiler whose files begin with `profile`n, where that is not empty.
  bool load(Failure* failure);
  void profile_to(const std::string& prefix) { profile_ = prefix; }
  size_t stages() const { return stages_.size(); }
  Runtime* runtime(size_t stage) { return stages_[stage].runtime; }
  bool bind(Failure* failure);

  bool feed(uint64_t index, Failure* failure);
  bool adapt_inputs(Failure* failure);
  // One inference, from the first stage's filled input buffers to the last one's computed outputs. Allocates nothing.
  bool invoke(Failure* failure);
  // Makes the outputs readable, and adapts those that are kept.
  bool fetch(Failure* failure) { return stages_.back().runtime->fetch(failure); }
  bool adapt_outputs(Failure* failure);

  const std::vector<Output>& outputs() const { return outputs_; }
  // Of a far side: what comes over the link, in its order; filled before invoke().
  const std::vector<Bindings::Arriving>& arriving() const { return arriving_; }
  const std::vector<OpenFile>& models() const { return models_; }  // that are here

 private:
  struct Stage {
    Runtime* runtime = nullptr;
    Bindings bindings;
    OpenFile model;
  };

  const Plan* plan_ = nullptr;
  std::vector<Stage> stages_;
  std::vector<OpenFile> models_;
  std::vector<Output> outputs_;
  std::vector<Bindings::Arriving> arriving_;
  std::string profile_, token_;
  FarStage* far_ = nullptr;
};

}  // namespace edgebench
