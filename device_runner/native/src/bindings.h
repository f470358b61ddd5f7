// The plan's tensors matched to the model's: buffers, adapters, and the files the cases come from and go to.
#pragma once

#include <cstdint>
#include <vector>

#include "adapters.h"
#include "paths.h"
#include "plan.h"
#include "runtime.h"

namespace edgebench {

class Bindings {
 public:
  // Opens and measures the input files. Needs no runtime, so it is done before one is loaded.
  bool open_inputs(const Plan& plan, const Directory& dir, Failure* failure);

  // Matches and checks everything against the loaded model, allocates, and hands the buffers to the runtime.
  bool bind(const Plan& plan, Runtime* runtime, Failure* failure);

  // Reads one case and adapts it into the model's input buffers.
  bool feed(uint64_t index, Failure* failure);
  bool adapt_inputs(Failure* failure);
  // Adapts the model's outputs into what the plan declares.
  bool adapt_outputs(Failure* failure);

  size_t output_count() const { return outputs_.size(); }
  const void* output(size_t k) const { return outputs_[k].outside.data(); }
  uint64_t output_bytes(size_t k) const { return outputs_[k].outside.size(); }

 private:
  struct Port {
    size_t model_index = 0;
    Chain chain;
    int fd = -1;
    std::vector<unsigned char> outside;  // as stored in the file, or as written
  };
  bool match(const Plan& plan, Runtime* runtime, Side side, Failure* failure);
  bool allocate(Bound* bound, Failure* failure);

  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<Bound> model_inputs_;
  std::vector<Bound> model_outputs_;
  uint64_t budget_ = 0;
};

}  // namespace edgebench
