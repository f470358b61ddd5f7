#include "adapters.h"

#include <cmath>
#include <cstring>

#include "cast.h"

namespace edgebench {

namespace {

// The sum after rounding, kept in the type's range; not-a-number becomes the zero point.
template <typename T>
void quantize(const float* source, T* target, uint64_t count, float scale, int64_t zero_point) {
  const float low = sizeof(T) == 1 && T(-1) < T(0) ? -128.0f : 0.0f;
  const float high = low + 255.0f;
  const float zero = static_cast<float>(zero_point);
  for (uint64_t i = 0; i < count; ++i) {
    float value = nearbyintf(source[i] / scale) + zero;
    if (!(value >= low)) value = value < low ? low : zero;
    if (value > high) value = high;
    target[i] = static_cast<T>(static_cast<int>(value));
  }
}

template <typename T>
void dequantize(const T* source, float* target, uint64_t count, float scale, int64_t zero_point) {
  const int zero = static_cast<int>(zero_point);
  for (uint64_t i = 0; i < count; ++i) target[i] = static_cast<float>(static_cast<int>(source[i]) - zero) * scale;
}

void transpose(const unsigned char* source, unsigned char* target, size_t size, const Shape& before,
               const Shape& after, const Shape& perm, uint64_t count) {
  int64_t strides[kMaxRank] = {};
  int64_t stride = 1;
  for (int i = before.rank - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= before.dims[i];
  }
  int64_t index[kMaxRank] = {};
  int64_t offset = 0;
  for (uint64_t done = 0; done < count; ++done) {
    memcpy(target + done * size, source + static_cast<size_t>(offset) * size, size);
    for (int axis = after.rank - 1; axis >= 0; --axis) {
      int64_t step = strides[perm.dims[axis]];
      offset += step;
      if (++index[axis] < after.dims[axis]) break;
      offset -= step * index[axis];
      index[axis] = 0;
    }
  }
}

bool is_permutation(const Shape& perm, int rank) {
  if (perm.rank != rank) return false;
  unsigned seen = 0;
  for (int i = 0; i < rank; ++i) {
    if (perm.dims[i] >= rank || (seen & (1u << perm.dims[i])) != 0) return false;
    seen |= 1u << perm.dims[i];
  }
  return true;
}

}  // namespace

bool Chain::prepare(DType dtype, const Shape& shape, const std::vector<Adapter>& adapters, Failure* failure) {
  dtype_ = dtype;
  shape_ = shape;
  for (const Adapter& adapter : adapters) {
    Step step;
    step.adapter = adapter;
    step.from = step.to = dtype_;
    step.before = step.after = shape_;
    switch (adapter.op) {
      case Adapter::Op::cast: step.to = adapter.to; break;
      case Adapter::Op::quantize:
        if (dtype_ != DType::float32)
          return fail(failure, Code::plan_invalid, "quantize: takes float32, not %s", dtype_name(dtype_));
        step.to = adapter.to;
        break;
      case Adapter::Op::dequantize:
        if (dtype_ != DType::int8 && dtype_ != DType::uint8)
          return fail(failure, Code::plan_invalid, "dequantize: takes int8 or uint8, not %s", dtype_name(dtype_));
        step.to = DType::float32;
        break;
      case Adapter::Op::transpose:
        if (!is_permutation(adapter.axes, shape_.rank))
          return fail(failure, Code::plan_invalid, "transpose: perm %s does not fit shape %s",
                      ShapeText(adapter.axes).text, ShapeText(shape_).text);
        for (int i = 0; i < shape_.rank; ++i) step.after.dims[i] = shape_.dims[adapter.axes.dims[i]];
        break;
      case Adapter::Op::reshape: {
        uint64_t was = 0, will = 0;
        if (!element_count(shape_, &was) || !element_count(adapter.axes, &will) || was != will)
          return fail(failure, Code::plan_invalid, "reshape: %s has another number of elements than %s",
                      ShapeText(adapter.axes).text, ShapeText(shape_).text);
        step.after = adapter.axes;
        break;
      }
    }
    if (!element_count(step.before, &step.count))
      return fail(failure, Code::plan_invalid, "shape %s is too large", ShapeText(step.before).text);
    dtype_ = step.to;
    shape_ = step.after;
    steps_.push_back(step);
  }
  if (!byte_count(shape_, dtype_, &bytes_))
    return fail(failure, Code::plan_invalid, "shape %s is too large", ShapeText(shape_).text);
  // Every step but the last writes to a scratch buffer, the two in turn.
  for (size_t i = 0; i + 1 < steps_.size(); ++i) {
    uint64_t bytes = 0;
    if (!byte_count(steps_[i].after, steps_[i].to, &bytes))
      return fail(failure, Code::plan_invalid, "shape %s is too large", ShapeText(steps_[i].after).text);
    if (bytes > scratch_bytes_) scratch_bytes_ = bytes;
  }
  return true;
}

bool Chain::run(const Step& step, const void* source, void* target, Failure* failure) {
  const Adapter& adapter = step.adapter;
  const float scale = static_cast<float>(adapter.scale);
  switch (adapter.op) {
    case Adapter::Op::cast: return cast(step.from, source, step.to, target, step.count, failure);
    case Adapter::Op::quantize:
      if (step.to == DType::int8)
        quantize(static_cast<const float*>(source), static_cast<int8_t*>(target), step.count, scale,
                 adapter.zero_point);
      else
        quantize(static_cast<const float*>(source), static_cast<uint8_t*>(target), step.count, scale,
                 adapter.zero_point);
      return true;
    case Adapter::Op::dequantize:
      if (step.from == DType::int8)
        dequantize(static_cast<const int8_t*>(source), static_cast<float*>(target), step.count, scale,
                   adapter.zero_point);
      else
        dequantize(static_cast<const uint8_t*>(source), static_cast<float*>(target), step.count, scale,
                   adapter.zero_point);
      return true;
    case Adapter::Op::transpose:
      transpose(static_cast<const unsigned char*>(source), static_cast<unsigned char*>(target),
                dtype_size(step.from), step.before, step.after, adapter.axes, step.count);
      return true;
    case Adapter::Op::reshape:
      memcpy(target, source, step.count * dtype_size(step.from));
      return true;
  }
  return fail(failure, Code::internal, "unknown adapter");
}

bool Chain::apply(const void* source, void* target, Failure* failure) {
  if (steps_.empty()) {
    memcpy(target, source, bytes_);
    return true;
  }
  if (scratch_bytes_ > 0 && scratch_[0].empty())
    for (auto& scratch : scratch_) scratch.resize(scratch_bytes_);
  const void* from = source;
  for (size_t i = 0; i < steps_.size(); ++i) {
    void* to = i + 1 == steps_.size() ? target : scratch_[i % 2].data();
    if (!run(steps_[i], from, to, failure)) return false;
    from = to;
  }
  return true;
}

bool shape_before(const Shape& model, const std::vector<Adapter>& adapters, const Shape& wanted, Shape* out) {
  Shape shape = wanted;
  bool exact = true;  // no reshape met: the shape follows by undoing each step
  for (size_t i = adapters.size(); i-- > 0;) {
    const Adapter& adapter = adapters[i];
    if (adapter.op == Adapter::Op::reshape) exact = false;
    if (adapter.op != Adapter::Op::transpose || !exact) continue;
    if (!is_permutation(adapter.axes, shape.rank)) return false;
    Shape undone = shape;
    for (int axis = 0; axis < shape.rank; ++axis) undone.dims[adapter.axes.dims[axis]] = shape.dims[axis];
    shape = undone;
  }
  if (exact) {
    *out = shape;
    return true;
  }
  // A reshape hides the shape, but not the number of elements: enough for one open dimension.
  uint64_t count = 0, known = 1;
  int open = -1;
  if (!element_count(wanted, &count)) return false;
  for (int axis = 0; axis < model.rank; ++axis) {
    if (model.dims[axis] > 0) {
      if (__builtin_mul_overflow(known, static_cast<uint64_t>(model.dims[axis]), &known)) return false;
    } else if (open >= 0) {
      return false;
    } else {
      open = axis;
    }
  }
  *out = model;
  if (open >= 0) out->dims[open] = static_cast<int64_t>(count / known);
  return true;
}

}  // namespace edgebench
