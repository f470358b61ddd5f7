// LiteRT (formerly TensorFlow Lite), on the CPU through XNNPACK, which is its default there.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../runtime.h"
#include "library.h"
#include "litert_api.h"
#include "operator_times.h"

namespace edgebench {

namespace {

DType dtype_of(int type) {
  switch (type) {
    case litert::kFloat32: return DType::float32;
    case litert::kFloat16: return DType::float16;
    case litert::kInt8: return DType::int8;
    case litert::kUint8: return DType::uint8;
    case litert::kInt16: return DType::int16;
    case litert::kInt32: return DType::int32;
    case litert::kInt64: return DType::int64;
    case litert::kBool: return DType::boolean;
    default: return DType::other;
  }
}

// The statuses a wrong model or plan leads to.
const char* status_text(litert::Status status) {
  switch (status) {
    case 1: return "invalid argument";
    case 2: return "out of memory";
    case 3: return "runtime failure";
    case 5: return "unsupported";
    case 6: return "not found";
    case 500: return "file error";
    case 501: return "invalid flatbuffer";
    case 504: return "compilation failed";
    default: return "error";
  }
}

constexpr size_t kSignature = 0;

class LiteRtRuntime : public Runtime {
 public:
  bool open(const char* lib_dir, Failure* failure) override {
    Library library;
    if (!library.open(lib_dir, "libLiteRt.so", failure)) return false;
#define EDGEBENCH_LITERT_FIND(name, arguments) \
  if (!library.find(#name, &api_.name, failure)) return false;
    EDGEBENCH_LITERT_FUNCTIONS(EDGEBENCH_LITERT_FIND)
#undef EDGEBENCH_LITERT_FIND
    return true;
  }

  const char* version() override { return nullptr; }  // the library does not tell
  bool supports(const char* backend) override { return strcmp(backend, "cpu") == 0 || strcmp(backend, "xnnpack") == 0; }
  bool has_names() override { return true; }

  bool load(const LoadRequest& request, Failure* failure) override {
    litert::Environment environment = nullptr;
    litert::Options options = nullptr;
    char threads[40];
    snprintf(threads, sizeof threads, "num_threads = %d\n", request.threads);
    size_t signatures = 0;
    const Code code = Code::runtime_error;
    if (!ok(api_.LiteRtCreateEnvironment(0, nullptr, &environment), "environment", code, failure)) return false;
    if (!ok(api_.LiteRtCreateModelFromFile(environment, request.model_path, &model_), "model", Code::model_invalid,
            failure) ||
        !ok(api_.LiteRtGetNumModelSignatures(model_, &signatures), "signatures", Code::model_invalid, failure))
      return false;
    if (signatures == 0) return fail(failure, Code::model_invalid, "LiteRT: the model has no signature");
    if (!ok(api_.LiteRtGetModelSignature(model_, kSignature, &signature_), "signature", Code::model_invalid, failure) ||
        !ok(api_.LiteRtGetNumSignatureInputs(signature_, &counts_[0]), "inputs", Code::model_invalid, failure) ||
        !ok(api_.LiteRtGetNumSignatureOutputs(signature_, &counts_[1]), "outputs", Code::model_invalid, failure))
      return false;
    return ok(api_.LiteRtCreateOptions(&options), "options", code, failure) &&
           ok(api_.LiteRtSetOptionsHardwareAccelerators(options, litert::kAcceleratorCpu), "options", code, failure) &&
           opaque(options, "xnnpack", threads, failure) &&
           (request.profile == nullptr || opaque(options, "runtime_options_string", "enable_profiling = true\n", failure)) &&
           ok(api_.LiteRtCreateCompiledModel(environment, model_, options, &compiled_), "compile", Code::model_invalid,
              failure) &&
           (request.profile == nullptr || start_profiler(failure));
  }

  size_t count(Side side) override { return counts_[side == Side::input ? 0 : 1]; }

  bool info(Side side, size_t index, TensorInfo* info, Failure* failure) override {
    bool input = side == Side::input;
    const char* name = "";
    litert::RankedType type;
    const Code code = Code::model_invalid;
    if (!ok((input ? api_.LiteRtGetSignatureInputName : api_.LiteRtGetSignatureOutputName)(signature_, index, &name),
            "tensor name", code, failure) ||
        !ranked_type(side, index, &type, failure))
      return false;
    if (strlen(name) >= sizeof info->name) return fail(failure, code, "LiteRT: the name of a tensor is too long");
    snprintf(info->name, sizeof info->name, "%s", name);
    info->dtype = dtype_of(type.element_type);
    if (type.layout.rank > kMaxRank) return fail(failure, code, "LiteRT: %s has too many dimensions", name);
    info->shape.rank = static_cast<int>(type.layout.rank);
    for (int i = 0; i < info->shape.rank; ++i)
      info->shape.dims[i] = type.layout.dims[i] < 0 ? -1 : type.layout.dims[i];
    return true;
  }

  bool bind(const Bound* inputs, const Bound* outputs, Failure* failure) override {
    for (size_t i = 0; i < counts_[0]; ++i)
      if (!resize(i, inputs[i], failure)) return false;
    return buffers(Side::input, inputs, failure) && buffers(Side::output, outputs, failure);
  }

  bool invoke(Failure* failure) override {
    litert::Status status = api_.LiteRtRunCompiledModel(compiled_, kSignature, counts_[0], buffers_[0].data(),
                                                        counts_[1], buffers_[1].data());
    return __builtin_expect(status == 0, 1) || ok(status, "run", Code::runtime_error, failure);
  }

  bool fetch(Failure*) override { return true; }  // the buffers are our own host memory: nothing to map

  void profile_anew() override {
    // a reset ends the recording as well
    if (profiler_ != nullptr && api_.LiteRtResetProfiler(profiler_) == 0) api_.LiteRtStartProfiler(profiler_);
  }

  const char* profile(ProfileSink* sink) override {
    int count = 0;
    if (profiler_ == nullptr) return "LiteRT has no profiler";
    if (api_.LiteRtStopProfiler(profiler_) != 0 || api_.LiteRtGetNumProfilerEvents(profiler_, &count) != 0 || count <= 0)
      return "LiteRT's profiler recorded nothing";
    std::vector<litert::Event> events(static_cast<size_t>(count));
    if (api_.LiteRtGetProfilerEvents(profiler_, count, events.data()) != 0) return "LiteRT's profiler tells nothing";
    OperatorTimes times;
    for (const litert::Event& event : events) {
      if (event.tag == nullptr) continue;
      const uint64_t elapsed_ns = event.elapsed_us * 1000;
      if (event.type == litert::kEventOther && strcmp(event.tag, "Invoke") == 0) times.begin_inference();
      if (event.type == litert::kEventDelegateOperator || event.type == litert::kEventProfiledDelegateOperator)
        times.add(event.tag, "xnnpack", elapsed_ns);
      // the delegate as a whole stands for what it tells of its operators
      if (event.type == litert::kEventOperator && strstr(event.tag, "Delegate") == nullptr)
        times.add(event.tag, "tflite", elapsed_ns);
    }
    if (times.empty()) return "LiteRT's profiler names no operator";
    times.tell(sink);
    return nullptr;
  }

 private:
  // Options are an opaque text of TOML, freed by the library.
  bool opaque(litert::Options options, const char* id, const char* toml, Failure* failure) {
    litert::OpaqueOptions made = nullptr;
    return ok(api_.LiteRtCreateOpaqueOptions(id, strdup(toml), free, &made), "options", Code::runtime_error, failure) &&
           ok(api_.LiteRtAddOpaqueOptions(options, made), "options", Code::runtime_error, failure);
  }

  bool start_profiler(Failure* failure) {
    return ok(api_.LiteRtCompiledModelGetProfiler(compiled_, &profiler_), "profiler", Code::runtime_error, failure) &&
           (profiler_ == nullptr || ok(api_.LiteRtStartProfiler(profiler_), "profiler", Code::runtime_error, failure));
  }

  bool ok(litert::Status status, const char* what, Code code, Failure* failure) {
    if (status == 0) return true;
    return fail(failure, code, "LiteRT: %s: %s (%d)", what, status_text(status), status);
  }

  bool ranked_type(Side side, size_t index, litert::RankedType* type, Failure* failure) {
    litert::Tensor tensor = nullptr;
    auto find = side == Side::input ? api_.LiteRtGetSignatureInputTensorByIndex
                                    : api_.LiteRtGetSignatureOutputTensorByIndex;
    memset(type, 0, sizeof *type);
    return ok(find(signature_, index, &tensor), "tensor", Code::model_invalid, failure) &&
           ok(api_.LiteRtGetRankedTensorType(tensor, type), "tensor type", Code::model_invalid, failure);
  }

  // Fixes the dimensions that the model leaves open.
  bool resize(size_t index, const Bound& bound, Failure* failure) {
    litert::RankedType type;
    if (!ranked_type(Side::input, index, &type, failure)) return false;
    bool open = false;
    int dims[litert::kMaxRank] = {};
    for (int i = 0; i < bound.info.shape.rank; ++i) {
      open = open || type.layout.dims[i] < 0;
      dims[i] = static_cast<int>(bound.info.shape.dims[i]);
      if (dims[i] != bound.info.shape.dims[i])
        return fail(failure, Code::signature_mismatch, "%s is too large for LiteRT", ShapeText(bound.info.shape).text);
    }
    return !open || ok(api_.LiteRtCompiledModelResizeInputTensor(compiled_, kSignature, index, dims,
                                                                static_cast<size_t>(bound.info.shape.rank)),
                       "resize", Code::signature_mismatch, failure);
  }

  bool buffers(Side side, const Bound* bound, Failure* failure) {
    bool input = side == Side::input;
    std::vector<litert::Buffer>& out = buffers_[input ? 0 : 1];
    out.assign(count(side), nullptr);
    for (size_t i = 0; i < count(side); ++i) {
      litert::Requirements requirements = nullptr;
      size_t size = 0;
      auto require = input ? api_.LiteRtGetCompiledModelInputBufferRequirements
                           : api_.LiteRtGetCompiledModelOutputBufferRequirements;
      if (!ok(require(compiled_, kSignature, i, &requirements), "buffer", Code::runtime_error, failure) ||
          !ok(api_.LiteRtGetTensorBufferRequirementsBufferSize(requirements, &size), "buffer", Code::runtime_error,
              failure))
        return false;
      // Some padding may be asked for; ours is 256 bytes, and an unknown output size is given as 0.
      if (size < bound[i].bytes) size = bound[i].bytes;
      if (size > bound[i].bytes + 256)
        return fail(failure, Code::signature_mismatch, "LiteRT wants %zu bytes for \"%s\", the plan leads to %zu", size,
                    bound[i].info.name, bound[i].bytes);
      litert::RankedType type;
      if (!ranked_type(side, i, &type, failure)) return false;
      for (int axis = 0; axis < bound[i].info.shape.rank; ++axis)
        type.layout.dims[axis] = static_cast<int32_t>(bound[i].info.shape.dims[axis]);
      if (!ok(api_.LiteRtCreateTensorBufferFromHostMemory(&type, bound[i].data, size, nullptr, &out[i]), "buffer",
              Code::runtime_error, failure))
        return false;
    }
    return true;
  }

  litert::Api api_ = {};
  litert::Model model_ = nullptr;
  litert::Signature signature_ = nullptr;
  litert::CompiledModel compiled_ = nullptr;
  litert::Profiler profiler_ = nullptr;
  size_t counts_[2] = {0, 0};
  std::vector<litert::Buffer> buffers_[2];
};

}  // namespace

Runtime* make_tflite_runtime() { return new LiteRtRuntime; }

}  // namespace edgebench
