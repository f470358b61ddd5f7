// ExecuTorch's event tracer, for the times of operators: what a delegate tells of its own, and the runtime's own kernels.
#pragma once

#include <executorch/runtime/core/event_tracer.h>
#include <executorch/runtime/platform/platform.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "operator_times.h"

namespace edgebench {

// Calls nest: an inference, an instruction of it, a kernel. What has nothing inside it, or is a kernel by name, is an operator.
class Tracer : public executorch::runtime::EventTracer {
 public:
  const OperatorTimes& times() const { return times_; }
  void clear() { times_.clear(); }

  void create_event_block(const char*) override {}

  executorch::runtime::EventTracerEntry start_profiling(const char* name, executorch::runtime::ChainID,
                                                        executorch::runtime::DebugHandle) override {
    if (strcmp(name, "Method::execute") == 0) {
      open_.clear();
      times_.begin_inference();
    }
    if (!open_.empty()) open_.back().has_inner = true;
    open_.push_back({name, et_pal_current_ticks(), false});
    return entry(static_cast<int64_t>(open_.size()) - 1);
  }

  void end_profiling(executorch::runtime::EventTracerEntry ended) override {
    if (ended.event_id < 0 || static_cast<size_t>(ended.event_id) >= open_.size()) return;
    open_.resize(static_cast<size_t>(ended.event_id) + 1);
    const Open& call = open_.back();
    if (!call.has_inner && call.name != "Method::execute" && call.name != "Method::init")
      times_.add(shown(call.name), call.name == "DELEGATE_CALL" ? kDelegate : "executorch", ns(call.start));
    open_.pop_back();
  }

  executorch::runtime::EventTracerEntry start_profiling_delegate(const char* name,
                                                                 executorch::runtime::DelegateDebugIntId index) override {
    char numbered[40];
    snprintf(numbered, sizeof numbered, "operator %d", static_cast<int>(index));
    if (!open_.empty()) open_.back().has_inner = true;
    open_.push_back({name != nullptr ? name : numbered, et_pal_current_ticks(), false});
    return entry(static_cast<int64_t>(open_.size()) - 1);
  }

  void end_profiling_delegate(executorch::runtime::EventTracerEntry ended, const void*, size_t) override {
    if (ended.event_id < 0 || static_cast<size_t>(ended.event_id) >= open_.size()) return;
    open_.resize(static_cast<size_t>(ended.event_id) + 1);
    const Open& call = open_.back();
    if (!call.has_inner) times_.add(call.name.c_str(), kDelegate, ns(call.start));
    open_.pop_back();
  }

  void log_profiling_delegate(const char* name, executorch::runtime::DelegateDebugIntId index,
                              et_timestamp_t start, et_timestamp_t end, const void*,
                              size_t) override {
    char numbered[40];
    snprintf(numbered, sizeof numbered, "operator %d", static_cast<int>(index));
    if (!open_.empty()) open_.back().has_inner = true;
    times_.add(name != nullptr ? name : numbered, kDelegate, end > start ? scaled(end - start) : 0);
  }

  void track_allocation(executorch::runtime::AllocatorID, size_t) override {}
  executorch::runtime::AllocatorID track_allocator(const char*) override { return 0; }

  using Index = executorch::runtime::DelegateDebugIntId;
  using Logged = executorch::runtime::Result<bool>;
  Logged log_evalue(const executorch::runtime::EValue&, executorch::runtime::LoggedEValueType) override { return false; }
  Logged log_intermediate_output_delegate(const char*, Index, const executorch::aten::Tensor&) override { return false; }
  Logged log_intermediate_output_delegate(const char*, Index,
                                          const executorch::runtime::ArrayRef<executorch::aten::Tensor>) override {
    return false;
  }
  Logged log_intermediate_output_delegate(const char*, Index, const int&) override { return false; }
  Logged log_intermediate_output_delegate(const char*, Index, const bool&) override { return false; }
  Logged log_intermediate_output_delegate(const char*, Index, const double&) override { return false; }
  void set_delegation_intermediate_output_filter(executorch::runtime::EventTracerFilterBase*) override {}

 private:
  struct Open {
    std::string name;
    et_timestamp_t start;
    bool has_inner;
  };
  // the only one that our programs are linked with
  static constexpr char kDelegate[] = "xnnpack";

  static executorch::runtime::EventTracerEntry entry(int64_t id) {
    executorch::runtime::EventTracerEntry made = {};
    made.event_id = id;
    return made;
  }

  static const char* shown(const std::string& name) {
    constexpr char kKernel[] = "native_call_";
    return name.c_str() + (name.compare(0, sizeof kKernel - 1, kKernel) == 0 ? sizeof kKernel - 1 : 0);
  }

  static uint64_t scaled(et_timestamp_t ticks) {
    const et_tick_ratio_t ratio = et_pal_ticks_to_ns_multiplier();
    return ratio.denominator == 0 ? ticks : ticks * ratio.numerator / ratio.denominator;
  }

  static uint64_t ns(et_timestamp_t start) {
    const et_timestamp_t now = et_pal_current_ticks();
    return now > start ? scaled(now - start) : 0;
  }

  OperatorTimes times_;
  std::vector<Open> open_;
};

}  // namespace edgebench
