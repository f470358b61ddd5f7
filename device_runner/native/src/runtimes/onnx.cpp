// ONNX Runtime, CPU execution provider.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../runtime.h"
#include "library.h"
#include "ort_api.h"

namespace edgebench {

namespace {

DType dtype_of(int type) {
  switch (type) {
    case ort::kFloat32: return DType::float32;
    case ort::kFloat16: return DType::float16;
    case ort::kInt8: return DType::int8;
    case ort::kUint8: return DType::uint8;
    case ort::kInt16: return DType::int16;
    case ort::kInt32: return DType::int32;
    case ort::kInt64: return DType::int64;
    case ort::kBool: return DType::boolean;
    default: return DType::other;
  }
}

int type_of(DType type) {
  for (int candidate = 0; candidate <= ort::kFloat16; ++candidate)
    if (dtype_of(candidate) == type) return candidate;
  return 0;
}

#if defined(__ANDROID__)
constexpr char kLibrary[] = "libonnxruntime.so";
#else
constexpr char kLibrary[] = "libonnxruntime.so.1";
#endif

class OnnxRuntime : public Runtime {
 public:
  bool open(const char* lib_dir, Failure* failure) override {
    Library library;
    const ort::ApiBase* (*get_base)() = nullptr;
    // Since 1.29 the library reports to its maker from a thread of its own, and keeps a database in the home directory:
    // neither is for somebody else's device, nor for a benchmark. It looks at this once, before anything else.
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    if (!library.open(lib_dir, kLibrary, failure)) return false;
    if (!library.find("OrtGetApiBase", &get_base, failure)) return false;
    version_ = get_base()->version();
    api_ = get_base()->get_api(ort::kApiVersion);
    return api_ != nullptr || fail(failure, Code::library_missing, "ONNX Runtime %s does not speak version %u of its API",
                                   version_, ort::kApiVersion);
  }

  const char* version() override { return version_; }
  bool supports(const char* backend) override { return strcmp(backend, "cpu") == 0; }
  bool has_names() override { return true; }

  bool load(const LoadRequest& request, Failure* failure) override {
    ort::Env* env = nullptr;
    ort::SessionOptions* options = nullptr;
    const Code code = Code::runtime_error;
    if (!ok(api_->create_env(ort::kLogError, "edgebench", &env), code, failure) ||
        !ok(api_->create_session_options(&options), code, failure) ||
        !ok(api_->set_intra_op_threads(options, request.threads), code, failure) ||
        !ok(api_->set_inter_op_threads(options, 1), code, failure) ||
        !ok(api_->set_execution_mode(options, ort::kSequential), code, failure) ||
        !ok(api_->set_optimisation_level(options, ort::kOptimiseAll), code, failure))
      return false;
    // Each session has threads of its own, which go on looking for work when a call has ended; those of one stage must
    // not do so at the cost of the next.
    if (request.chained && !ok(api_->add_session_config_entry(options, "session.force_spinning_stop", "1"), code, failure))
      return false;
    if (request.profile != nullptr && !ok(api_->enable_profiling(options, request.profile), code, failure)) return false;
    // From its path and not from memory: only so does the library confine a model's external data to the model's own
    // directory, symbolic links followed.
    if (!ok(api_->create_session(env, request.model_path, options, &session_), Code::model_invalid, failure))
      return false;
    return ok(api_->default_allocator(&allocator_), code, failure) &&
           ok(api_->input_count(session_, &counts_[0]), code, failure) &&
           ok(api_->output_count(session_, &counts_[1]), code, failure);
  }

  size_t count(Side side) override { return counts_[side == Side::input ? 0 : 1]; }

  bool info(Side side, size_t index, TensorInfo* info, Failure* failure) override {
    char* name = nullptr;
    ort::TypeInfo* type = nullptr;
    const Code code = Code::runtime_error;
    bool input = side == Side::input;
    if (!ok((input ? api_->input_name : api_->output_name)(session_, index, allocator_, &name), code, failure))
      return false;
    bool fits = strlen(name) < sizeof info->name;
    snprintf(info->name, sizeof info->name, "%s", name);
    drop(api_->allocator_free(allocator_, name));
    if (!fits) return fail(failure, Code::model_invalid, "the name of a tensor is too long: %s", info->name);
    if (!ok((input ? api_->input_type_info : api_->output_type_info)(session_, index, &type), code, failure))
      return false;
    bool done = tensor_info(type, info, failure);
    api_->release_type_info(type);
    return done;
  }

  bool bind(const Bound* inputs, const Bound* outputs, Failure* failure) override {
    const Code code = Code::runtime_error;
    ort::MemoryInfo* memory = nullptr;
    if (!ok(api_->create_cpu_memory_info(ort::kArenaAllocator, ort::kMemoryDefault, &memory), code, failure) ||
        !ok(api_->create_binding(session_, &binding_), code, failure))
      return false;
    for (int side = 0; side < 2; ++side) {
      for (size_t i = 0; i < counts_[side]; ++i) {
        const Bound& bound = side == 0 ? inputs[i] : outputs[i];
        ort::Value* value = nullptr;
        if (!ok(api_->create_tensor(memory, bound.data, bound.bytes, bound.info.shape.dims,
                                    static_cast<size_t>(bound.info.shape.rank), type_of(bound.info.dtype), &value),
                code, failure) ||
            !ok((side == 0 ? api_->bind_input : api_->bind_output)(binding_, bound.info.name, value), code, failure))
          return false;
      }
    }
    return true;
  }

  bool invoke(Failure* failure) override {
    ort::Error error = api_->run_with_binding(session_, nullptr, binding_);
    return __builtin_expect(error == nullptr, 1) || ok(error, Code::runtime_error, failure);
  }

  bool fetch(Failure*) override { return true; }  // the outputs are computed into the bound buffers

  void profile_anew() override {}  // its trace is of the whole session

  const char* profile(ProfileSink* sink) override {
    char* file = nullptr;
    Failure failure;
    if (!ok(api_->end_profiling(session_, allocator_, &file), Code::runtime_error, &failure))
      return "ONNX Runtime wrote no trace";
    sink->trace_file(file);
    drop(api_->allocator_free(allocator_, file));
    return nullptr;
  }

 private:
  bool ok(ort::Error error, Code code, Failure* failure) {
    if (error == nullptr) return true;
    fail(failure, code, "ONNX Runtime: %s", api_->get_error_message(error));
    api_->release_status(error);
    return false;
  }

  void drop(ort::Error error) {
    if (error != nullptr) api_->release_status(error);
  }

  bool tensor_info(const ort::TypeInfo* type, TensorInfo* info, Failure* failure) {
    const Code code = Code::runtime_error;
    const ort::TensorInfo* tensor = nullptr;
    int onnx_type = 0, element = 0;
    size_t rank = 0;
    if (!ok(api_->onnx_type(type, &onnx_type), code, failure)) return false;
    if (onnx_type != ort::kTypeTensor) return true;  // a sequence or a map: dtype stays `other`
    if (!ok(api_->cast_to_tensor_info(type, &tensor), code, failure) ||
        !ok(api_->element_type(tensor, &element), code, failure) || !ok(api_->rank(tensor, &rank), code, failure))
      return false;
    if (rank > kMaxRank)
      return fail(failure, Code::model_invalid, "%s has %zu dimensions, at most %d are taken", info->name, rank,
                  kMaxRank);
    info->dtype = dtype_of(element);
    info->shape.rank = static_cast<int>(rank);
    return ok(api_->dims(tensor, info->shape.dims, rank), code, failure);
  }

  const ort::Api* api_ = nullptr;
  const char* version_ = nullptr;
  ort::Session* session_ = nullptr;
  ort::Allocator* allocator_ = nullptr;
  ort::IoBinding* binding_ = nullptr;
  size_t counts_[2] = {0, 0};
};

}  // namespace

Runtime* make_onnx_runtime() { return new OnnxRuntime; }

}  // namespace edgebench
