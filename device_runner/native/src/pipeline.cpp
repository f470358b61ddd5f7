#include "pipeline.h"

namespace edgebench {

bool Pipeline::open_files(const Plan& plan, const Directory& dir, Failure* failure) {
  plan_ = &plan;
  stages_.resize(plan.stages.size());
  for (size_t i = 0; i < stages_.size(); ++i) {
    Stage& stage = stages_[i];
    if (plan.stages[i].model.empty()) {
      stage.runtime = far_ = new FarStage(plan.far, token_);  // as a runtime: it lives as long as its process
      continue;
    }
    stage.runtime = make_runtime(plan.runtime.c_str());
    if (stage.runtime == nullptr)
      return fail(failure, Code::plan_invalid, "runtime: \"%s\" is not one of ours", plan.runtime.c_str());
    if (!stage.runtime->supports(plan.backend.c_str()))
      return fail(failure, Code::plan_invalid, "backend: %s has no \"%s\"", plan.runtime.c_str(),
                  plan.backend.c_str());
  }
  for (size_t i = 0; i < stages_.size(); ++i) {
    const std::string& name = plan.stages[i].model;
    OpenFile& model = stages_[i].model;
    if (!name.empty()) {
      if (!open_inside(dir, name, {Code::model_missing, Code::model_invalid}, &model, failure)) return false;
      if (model.bytes == 0) return fail(failure, Code::model_invalid, "%s is empty", name.c_str());
      models_.push_back(model);
    }
    if (!stages_[i].bindings.open_inputs(plan.stages[i], plan.cases, dir, failure)) return false;
  }
  return true;
}

bool Pipeline::open_library(const char* lib_dir, Failure* failure) {
  for (Stage& stage : stages_)
    if (!stage.runtime->open(lib_dir, failure)) return false;
  return true;
}

bool Pipeline::load(Failure* failure) {
  for (size_t i = 0; i < stages_.size(); ++i) {
    const std::string profile = profile_ + std::to_string(i);
    LoadRequest request = {stages_[i].model.real.c_str(), plan_->backend.c_str(), plan_->threads, models_.size() > 1,
                           profile_.empty() ? nullptr : profile.c_str()};
    if (!stages_[i].runtime->load(request, failure)) return false;
  }
  return true;
}

bool Pipeline::bind(Failure* failure) {
  uint64_t budget = plan_->max_memory_mb << 20;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const StagePlan& plan = plan_->stages[i];
    Bindings& bindings = stages_[i].bindings;
    if (!bindings.bind(plan, stages_[i].runtime, &budget, failure)) return false;
    for (size_t k = 0; k < plan.inputs.size(); ++k)
      if (plan.inputs[k].file.empty() && plan.inputs[k].link < 0)
        bindings.connect(k, stages_[plan.inputs[k].from_stage].bindings.output(plan.inputs[k].from_output));
    for (size_t k = 0; k < plan.outputs.size(); ++k)
      if (plan.outputs[k].write) outputs_.push_back({&plan.outputs[k], bindings.output(k), bindings.output_bytes(k)});
    for (size_t k = 0; k < plan.inputs.size(); ++k) {
      if (plan.inputs[k].link < 0) continue;
      const size_t place = static_cast<size_t>(plan.inputs[k].link);
      if (arriving_.size() <= place) arriving_.resize(place + 1);
      arriving_[place] = bindings.arriving(k, plan.inputs[k]);
    }
  }
  return true;
}

bool Pipeline::feed(uint64_t index, Failure* failure) {
  for (Stage& stage : stages_)
    if (!stage.bindings.feed(index, failure)) return false;
  return true;
}

bool Pipeline::adapt_inputs(Failure* failure) {
  for (Stage& stage : stages_)
    if (!stage.bindings.adapt_inputs(failure)) return false;
  return true;
}

bool Pipeline::invoke(Failure* failure) {
  Stage* const last = &stages_.back();
  for (Stage* stage = stages_.data(); stage != last; ++stage)
    if (!stage->bindings.receive(failure) || !stage->runtime->invoke(failure) || !stage->runtime->fetch(failure) ||
        !stage->bindings.send(failure))
      return false;
  return last->bindings.receive(failure) && last->runtime->invoke(failure);
}

bool Pipeline::adapt_outputs(Failure* failure) {
  for (Stage& stage : stages_)
    if (!stage.bindings.adapt_outputs(failure)) return false;
  return true;
}

}  // namespace edgebench
