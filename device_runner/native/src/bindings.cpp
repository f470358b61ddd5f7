#include "bindings.h"

#include <cstdlib>
#include <cstring>
#include <string>

namespace edgebench {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kTail = 256;

const char* side_name(Side side) { return side == Side::input ? "input" : "output"; }

bool compatible(const Shape& model, const Shape& concrete) {
  if (model.rank != concrete.rank) return false;
  for (int i = 0; i < model.rank; ++i)
    if (model.dims[i] >= 0 && model.dims[i] != concrete.dims[i]) return false;
  return true;
}

bool is_concrete(const Shape& shape) {
  for (int i = 0; i < shape.rank; ++i)
    if (shape.dims[i] < 1) return false;
  return true;
}

std::string names_of(const std::vector<Bound>& tensors) {
  std::string names;
  for (const Bound& tensor : tensors) names += (names.empty() ? "" : ", ") + std::string(tensor.info.name);
  return names;
}

bool take(uint64_t* budget, uint64_t bytes, Failure* failure) {
  if (bytes > *budget)
    return fail(failure, Code::plan_invalid, "the inputs and outputs need more than max_memory_mb");
  *budget -= bytes;
  return true;
}

}  // namespace

bool Bindings::open_inputs(const StagePlan& plan, uint64_t cases, const Directory& dir, Failure* failure) {
  for (const TensorPlan& tensor : plan.inputs) {
    Port port;
    OpenFile file;
    if (!port.chain.prepare(tensor.dtype, tensor.shape, tensor.adapters, failure)) return false;
    if (tensor.file.empty()) {
      inputs_.push_back(std::move(port));
      continue;
    }
    if (!open_inside(dir, tensor.file, {Code::input_missing, Code::input_missing}, &file, failure)) return false;
    uint64_t one = 0, all = 0;
    if (!byte_count(tensor.shape, tensor.dtype, &one) || __builtin_mul_overflow(one, cases, &all) ||
        file.bytes != all)
      return fail(failure, Code::input_size, "%s has %llu bytes; %llu of %s %s are %llu", tensor.file.c_str(),
                  static_cast<unsigned long long>(file.bytes), static_cast<unsigned long long>(cases),
                  dtype_name(tensor.dtype), ShapeText(tensor.shape).text, static_cast<unsigned long long>(all));
    port.fd = file.fd;
    inputs_.push_back(std::move(port));
  }
  return true;
}

bool Bindings::match(const StagePlan& plan, Runtime* runtime, Side side, Failure* failure) {
  bool input = side == Side::input;
  std::vector<Port>& ports = input ? inputs_ : outputs_;
  std::vector<Bound>& model = input ? model_inputs_ : model_outputs_;
  const std::vector<TensorPlan>& tensors = input ? plan.inputs : plan.outputs;
  for (size_t i = 0; i < runtime->count(side); ++i) {
    Bound bound = {};
    if (!runtime->info(side, i, &bound.info, failure)) return false;
    model.push_back(bound);
  }
  // An input that is left out has no value; an output that is left out is computed and dropped.
  if (input ? tensors.size() != model.size() : tensors.size() > model.size())
    return fail(failure, Code::signature_mismatch, "the model has %zu %ss, the plan %zu", model.size(),
                side_name(side), tensors.size());
  if (!input) ports.resize(tensors.size());
  std::vector<bool> taken(model.size());
  for (size_t k = 0; k < tensors.size(); ++k) {
    const TensorPlan& tensor = tensors[k];
    Port& port = ports[k];
    port.model_index = k;
    port.taken = tensor.taken;
    port.write = tensor.write;
    if (runtime->has_names()) {
      size_t found = 0;
      while (found < model.size() && (taken[found] || tensor.name != model[found].info.name)) ++found;
      if (found == model.size())
        return fail(failure, Code::signature_mismatch, "the model has no %s \"%s\", but: %s", side_name(side),
                    tensor.name.c_str(), names_of(model).c_str());
      port.model_index = found;
    }
    taken[port.model_index] = true;
    TensorInfo& info = model[port.model_index].info;
    if (info.dtype == DType::other)
      return fail(failure, Code::unsupported_dtype, "%s \"%s\" of the model has a type this runner does not know",
                  side_name(side), info.name);
    Shape concrete = info.shape;
    if (input) concrete = port.chain.shape();
    else if (!is_concrete(info.shape) && !shape_before(info.shape, tensor.adapters, tensor.shape, &concrete))
      return fail(failure, Code::signature_mismatch, "the shape %s of output \"%s\" cannot be told from the plan",
                  ShapeText(info.shape).text, info.name);
    if (!compatible(info.shape, concrete))
      return fail(failure, Code::signature_mismatch, "%s \"%s\": the plan leads to %s, the model has %s",
                  side_name(side), tensor.name.c_str(), ShapeText(concrete).text, ShapeText(info.shape).text);
    info.shape = concrete;
    if (input) {
      if (port.chain.dtype() != info.dtype)
        return fail(failure, Code::signature_mismatch, "input \"%s\": the plan leads to %s, the model takes %s",
                    tensor.name.c_str(), dtype_name(port.chain.dtype()), dtype_name(info.dtype));
      continue;
    }
    if (!port.chain.prepare(info.dtype, info.shape, tensor.adapters, failure)) {
      if (failure->code == Code::plan_invalid) failure->code = Code::signature_mismatch;
      return false;
    }
    if (port.chain.dtype() != tensor.dtype || !same_shape(port.chain.shape(), tensor.shape))
      return fail(failure, Code::signature_mismatch, "output \"%s\": the model leads to %s %s, the plan says %s %s",
                  tensor.name.c_str(), dtype_name(port.chain.dtype()), ShapeText(port.chain.shape()).text,
                  dtype_name(tensor.dtype), ShapeText(tensor.shape).text);
  }
  for (const Bound& bound : model)
    if (!is_concrete(bound.info.shape))
      return fail(failure, Code::signature_mismatch, "the shape %s of %s \"%s\" is open and the plan does not give it",
                  ShapeText(bound.info.shape).text, side_name(side), bound.info.name);
  return true;
}

bool Bindings::allocate(Bound* bound, uint64_t* budget, Failure* failure) {
  uint64_t bytes = 0;
  if (!byte_count(bound->info.shape, bound->info.dtype, &bytes))
    return fail(failure, bound->info.dtype == DType::other ? Code::unsupported_dtype : Code::signature_mismatch,
                "\"%s\" of the model has a type or a size this runner does not take", bound->info.name);
  uint64_t rounded = (bytes + kTail + kAlignment - 1) / kAlignment * kAlignment;
  if (!take(budget, rounded, failure)) return false;
  void* data = nullptr;
  if (posix_memalign(&data, kAlignment, rounded) != 0)
    return fail(failure, Code::plan_invalid, "no memory for \"%s\"", bound->info.name);
  memset(data, 0, rounded);
  bound->data = data;
  bound->bytes = bytes;
  return true;
}

bool Bindings::bind(const StagePlan& plan, Runtime* runtime, uint64_t* budget, Failure* failure) {
  if (!match(plan, runtime, Side::input, failure) || !match(plan, runtime, Side::output, failure)) return false;
  for (Bound& bound : model_inputs_)
    if (!allocate(&bound, budget, failure)) return false;
  for (Bound& bound : model_outputs_)
    if (!allocate(&bound, budget, failure)) return false;
  for (size_t k = 0; k < inputs_.size(); ++k) {
    Port& port = inputs_[k];
    uint64_t bytes = 0;
    const bool arrives = plan.inputs[k].link >= 0;
    if (port.fd >= 0 || arrives) byte_count(plan.inputs[k].shape, plan.inputs[k].dtype, &bytes);
    if (!take(budget, bytes + 2 * port.chain.scratch_bytes(), failure)) return false;
    port.outside.resize(bytes);
    if (port.fd >= 0 || arrives) port.source = port.outside.data();
  }
  for (Port& port : outputs_) {
    if (!take(budget, port.chain.bytes() + 2 * port.chain.scratch_bytes(), failure)) return false;
    port.outside.resize(port.chain.bytes());
  }
  return runtime->bind(model_inputs_.data(), model_outputs_.data(), failure);
}

Bindings::Arriving Bindings::arriving(size_t k, const TensorPlan& plan) {
  return {{plan.dtype, plan.shape, inputs_[k].outside.size()}, inputs_[k].outside.data()};
}

bool Bindings::feed(uint64_t index, Failure* failure) {
  for (size_t k = 0; k < inputs_.size(); ++k) {
    Port& port = inputs_[k];
    if (port.fd >= 0 && !read_at(port.fd, port.outside.data(), port.outside.size(), index * port.outside.size()))
      return fail(failure, Code::input_size, "input %zu: case %llu cannot be read", k,
                  static_cast<unsigned long long>(index));
  }
  return adapt_inputs(failure);
}

bool Bindings::adapt_inputs(Failure* failure) {
  for (Port& port : inputs_)
    if (port.fd >= 0 && !port.chain.apply(port.source, model_inputs_[port.model_index].data, failure)) return false;
  return true;
}

bool Bindings::receive(Failure* failure) {
  for (Port& port : inputs_)
    if (port.fd < 0 && !port.chain.apply(port.source, model_inputs_[port.model_index].data, failure)) return false;
  return true;
}

bool Bindings::send(Failure* failure) {
  for (Port& port : outputs_)
    if (port.taken && !port.chain.apply(model_outputs_[port.model_index].data, port.outside.data(), failure))
      return false;
  return true;
}

bool Bindings::adapt_outputs(Failure* failure) {
  for (Port& port : outputs_)
    if (port.write && !port.chain.apply(model_outputs_[port.model_index].data, port.outside.data(), failure))
      return false;
  return true;
}

}  // namespace edgebench
