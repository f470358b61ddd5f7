// The plan's tensors matched to the model's: buffers, adapters, and the files the cases come from and go to.
#pragma once

#include <cstdint>
#include <vector>

#include "adapters.h"
#include "frame.h"
#include "paths.h"
#include "plan.h"
#include "runtime.h"

namespace edgebench {

class Bindings {
 public:
  // Opens and measures the input files. Needs no runtime, so it is done before one is loaded.
  bool open_inputs(const StagePlan& plan, uint64_t cases, const Directory& dir, Failure* failure);

  // Matches and checks everything against the loaded model, allocates, and hands the buffers to the runtime. What the
  // buffers need is taken off `budget`, in bytes.
  bool bind(const StagePlan& plan, Runtime* runtime, uint64_t* budget, Failure* failure);

  // Reads one case of the stored inputs and adapts it into the model's input buffers.
  bool feed(uint64_t index, Failure* failure);
  bool adapt_inputs(Failure* failure);
  // Adapts the outputs that are kept into what the plan declares.
  bool adapt_outputs(Failure* failure);

  // Between stages: `source` is where an earlier stage leaves input k. receive() adapts what is there into the model's
  // input buffers, send() the outputs that a later stage takes into what travels.
  void connect(size_t k, const void* source) { inputs_[k].source = source; }
  bool receive(Failure* failure);
  bool send(Failure* failure);

  // Input k of a far side: where the tensor that came over the link is to be put.
  struct Arriving {
    Travelling tensor;
    void* data = nullptr;
  };
  Arriving arriving(size_t k, const TensorPlan& plan);

  size_t output_count() const { return outputs_.size(); }
  const void* output(size_t k) const { return outputs_[k].outside.data(); }
  uint64_t output_bytes(size_t k) const { return outputs_[k].outside.size(); }

 private:
  struct Port {
    size_t model_index = 0;
    Chain chain;
    int fd = -1;
    const void* source = nullptr;        // of an input: what its adapters start from
    std::vector<unsigned char> outside;  // as stored in the file, or as written
    bool taken = false;                  // of an output: by a later stage
    bool write = true;
  };
  bool match(const StagePlan& plan, Runtime* runtime, Side side, Failure* failure);
  bool allocate(Bound* bound, uint64_t* budget, Failure* failure);

  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<Bound> model_inputs_;
  std::vector<Bound> model_outputs_;
};

}  // namespace edgebench
