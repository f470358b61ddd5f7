// Adapters: from a stored tensor to what the model takes, and back. Prepared once, then applied without
// allocating.
#pragma once

#include <cstdint>
#include <vector>

#include "failure.h"
#include "plan.h"
#include "tensor.h"

namespace edgebench {

class Chain {
 public:
  // Checks every step for a tensor of this type and shape, and sizes what is needed in between.
  bool prepare(DType dtype, const Shape& shape, const std::vector<Adapter>& adapters, Failure* failure);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t scratch_bytes() const { return scratch_bytes_; }

  // `source` has the bytes of the first tensor, `target` those of the last; they do not overlap.
  bool apply(const void* source, void* target, Failure* failure);

 private:
  struct Step {
    Adapter adapter;
    DType from = DType::other;
    DType to = DType::other;
    Shape before;
    Shape after;
    uint64_t count = 0;
  };
  bool run(const Step& step, const void* source, void* target, Failure* failure);

  std::vector<Step> steps_;
  std::vector<unsigned char> scratch_[2];
  DType dtype_ = DType::other;
  Shape shape_;
  uint64_t bytes_ = 0;
  uint64_t scratch_bytes_ = 0;
};

// The shape a model's output must have for `adapters` to lead to `wanted`, where the model leaves dimensions (-1)
// open. False where that cannot be told.
bool shape_before(const Shape& model, const std::vector<Adapter>& adapters, const Shape& wanted, Shape* out);

// One element conversion, for the cast: false where the value does not fit.
uint16_t half_from_float(float value);
float float_from_half(uint16_t half);

}  // namespace edgebench
