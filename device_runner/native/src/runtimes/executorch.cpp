// ExecuTorch: a plugin, because its API is C++. Kernels and backends register when their libraries are loaded.
#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>
#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/kernel/operator_registry.h>
#include <executorch/runtime/platform/runtime.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "executorch_tracer.h"
#include "plugin.h"

// The symbols are exported by libexecutorch_threadpool.so; the header that declares them is not shipped with it.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  size_t get_thread_count() const;
  bool _unsafe_reset_threadpool(uint32_t count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace edgebench {

namespace {

using executorch::aten::ScalarType;
using executorch::extension::Module;
using executorch::extension::TensorPtr;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using executorch::runtime::Method;
using executorch::runtime::Result;

constexpr char kMethod[] = "forward";

DType dtype_of(ScalarType type) {
  switch (type) {
    case ScalarType::Float: return DType::float32;
    case ScalarType::Half: return DType::float16;
    case ScalarType::Char: return DType::int8;
    case ScalarType::Byte: return DType::uint8;
    case ScalarType::Short: return DType::int16;
    case ScalarType::Int: return DType::int32;
    case ScalarType::Long: return DType::int64;
    case ScalarType::Bool: return DType::boolean;
    default: return DType::other;
  }
}

template <typename Bytes>
bool is_plain(const Bytes& order) {
  for (size_t i = 0; i < order.size(); ++i)
    if (order[i] != i) return false;
  return true;
}

// From a dense tensor whose axes are stored in `order` to C order.
void copy_in_c_order(const executorch::aten::Tensor& tensor, const Bound& bound) {
  const char* source = static_cast<const char*>(tensor.const_data_ptr());
  if (is_plain(tensor.dim_order())) {
    memcpy(bound.data, source, bound.bytes);
    return;
  }
  size_t size = dtype_size(bound.info.dtype);
  int64_t index[kMaxRank] = {};
  for (size_t done = 0; done < bound.bytes / size; ++done) {
    int64_t offset = 0;
    for (int axis = 0; axis < bound.info.shape.rank; ++axis)
      offset += index[axis] * tensor.strides()[static_cast<size_t>(axis)];
    memcpy(static_cast<char*>(bound.data) + done * size, source + static_cast<size_t>(offset) * size, size);
    for (int axis = bound.info.shape.rank - 1; axis >= 0 && ++index[axis] == bound.info.shape.dims[axis]; --axis)
      index[axis] = 0;
  }
}

class ExecuTorchRuntime : public Runtime {
 public:
  bool open(const char*, Failure*) override {
    executorch::runtime::runtime_init();
    return true;
  }

  const char* version() override { return nullptr; }
  bool supports(const char*) override { return true; }  // the proxy has asked already

  bool registered(NameSink* sink) override {
    for (const executorch::runtime::Kernel& kernel : executorch::runtime::get_registered_kernels()) sink->kernel(kernel.name_);
    for (size_t i = 0; i < executorch::runtime::get_num_registered_backends(); ++i) {
      Result<const char*> name = executorch::runtime::get_backend_name(i);
      if (name.ok()) sink->backend(*name);
    }
    return true;
  }

  bool has_names() override { return false; }

  bool load(const LoadRequest& request, Failure* failure) override {
    // The process has one pool. It is made before the first model, since XNNPACK takes it when a delegate is made, and
    // then left alone: a model that was loaded already holds on to it.
    static bool pool_made = false;
    auto* pool = executorch::extension::threadpool::get_threadpool();
    if (!pool_made && (pool == nullptr || !pool->_unsafe_reset_threadpool(static_cast<uint32_t>(request.threads))))
      return fail(failure, Code::runtime_error, "ExecuTorch: no pool of %d threads", request.threads);
    pool_made = true;
    module_ = new Module(request.model_path, Module::LoadMode::Mmap);
    if (!ok(module_->load(), "load", Code::model_invalid, failure) ||
        !ok(module_->load_method(kMethod, nullptr, request.profile != nullptr ? &tracer_ : nullptr), "load forward",
            Code::model_invalid, failure))
      return false;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    // The method itself: execute() of the module would allocate a list of outputs at each call.
    Result<Method*> method = module_->method(kMethod);
#pragma GCC diagnostic pop
    if (!ok(method.error(), "forward", Code::model_invalid, failure)) return false;
    method_ = *method;
    return true;
  }

  size_t count(Side side) override {
    return side == Side::input ? method_->inputs_size() : method_->outputs_size();
  }

  bool info(Side side, size_t index, TensorInfo* info, Failure* failure) override {
    bool input = side == Side::input;
    auto meta = method_->method_meta();
    auto tag = input ? meta.input_tag(index) : meta.output_tag(index);
    if (!ok(tag.error(), "tensor", Code::model_invalid, failure)) return false;
    if (*tag != executorch::runtime::Tag::Tensor) return true;  // a number or a text: dtype stays `other`
    auto tensor = input ? meta.input_tensor_meta(index) : meta.output_tensor_meta(index);
    if (!ok(tensor.error(), "tensor", Code::model_invalid, failure)) return false;
    if (tensor->sizes().size() > kMaxRank)
      return fail(failure, Code::model_invalid, "ExecuTorch: a tensor has too many dimensions");
    snprintf(info->name, sizeof info->name, "%s_%zu", input ? "input" : "output", index);
    info->dtype = dtype_of(tensor->scalar_type());
    info->shape.rank = static_cast<int>(tensor->sizes().size());
    for (size_t i = 0; i < tensor->sizes().size(); ++i) info->shape.dims[i] = tensor->sizes()[i];
    if (input && !is_plain(tensor->dim_order()))
      return fail(failure, Code::signature_mismatch, "ExecuTorch: input %zu is not in C order", index);
    return true;
  }

  bool bind(const Bound* inputs, const Bound* outputs, Failure* failure) override {
    auto meta = method_->method_meta();
    for (size_t i = 0; i < count(Side::input); ++i) {
      const Bound& bound = inputs[i];
      std::vector<executorch::aten::SizesType> sizes;
      for (int axis = 0; axis < bound.info.shape.rank; ++axis)
        sizes.push_back(static_cast<executorch::aten::SizesType>(bound.info.shape.dims[axis]));
      auto tensor = meta.input_tensor_meta(i);
      if (!ok(tensor.error(), "input", Code::runtime_error, failure)) return false;
      tensors_.push_back(executorch::extension::from_blob(bound.data, sizes, tensor->scalar_type()));
      inputs_.emplace_back(tensors_.back());
    }
    outputs_.assign(outputs, outputs + count(Side::output));
    return true;
  }

  bool invoke(Failure* failure) override {
    // Each time: the memory planned for an input is used again during a call, so it is part of every inference.
    for (size_t i = 0; i < inputs_.size(); ++i) {
      Error error = method_->set_input(inputs_[i], i);
      if (__builtin_expect(error != Error::Ok, 0)) return ok(error, "input", Code::runtime_error, failure);
    }
    Error error = method_->execute();
    return __builtin_expect(error == Error::Ok, 1) || ok(error, "forward", Code::runtime_error, failure);
  }

  bool fetch(Failure* failure) override {
    for (size_t k = 0; k < outputs_.size(); ++k) {
      const EValue& value = method_->get_output(k);
      if (!value.isTensor() || value.toTensor().nbytes() != outputs_[k].bytes)
        return fail(failure, Code::signature_mismatch, "ExecuTorch: output %zu has %zu bytes, not %zu", k,
                    value.isTensor() ? value.toTensor().nbytes() : 0, outputs_[k].bytes);
      copy_in_c_order(value.toTensor(), outputs_[k]);
    }
    return true;
  }

  void profile_anew() override { tracer_.clear(); }

  const char* profile(ProfileSink* sink) override {
    if (tracer_.times().empty()) return "this build of ExecuTorch traces no operator";
    tracer_.times().tell(sink);
    return nullptr;
  }

 private:
  bool ok(Error error, const char* what, Code code, Failure* failure) {
    if (error == Error::Ok) return true;
    return fail(failure, code, "ExecuTorch: %s: %s (0x%x)", what, executorch::runtime::to_string(error),
                static_cast<unsigned>(error));
  }

  Module* module_ = nullptr;  // never deleted: see runtime.h
  Method* method_ = nullptr;
  Tracer tracer_;
  std::vector<TensorPtr> tensors_;
  std::vector<EValue> inputs_;
  std::vector<Bound> outputs_;
};

}  // namespace

extern "C" __attribute__((visibility("default"))) Runtime* edgebench_plugin(int version) {
  return version == kPluginVersion ? new ExecuTorchRuntime : nullptr;
}

}  // namespace edgebench
