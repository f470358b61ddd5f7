// TensorFlow Lite through its older C interface, which Android's builds have: on the CPU through XNNPACK, which has to be
// asked for here and is LiteRT's default.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "../runtime.h"
#include "../samples.h"
#include "library.h"
#include "operator_times.h"
#include "tflite_api.h"

namespace edgebench {

namespace {

DType dtype_of(int type) {
  switch (type) {
    case tflite::kFloat32: return DType::float32;
    case tflite::kFloat16: return DType::float16;
    case tflite::kInt8: return DType::int8;
    case tflite::kUint8: return DType::uint8;
    case tflite::kInt16: return DType::int16;
    case tflite::kInt32: return DType::int32;
    case tflite::kInt64: return DType::int64;
    case tflite::kBool: return DType::boolean;
    default: return DType::other;
  }
}

constexpr int kSignature = 0;

class TfliteRuntime : public Runtime {
 public:
  bool open(const char* lib_dir, Failure* failure) override {
    Library library;
    if (!library.open(lib_dir, "libtensorflowlite_jni.so", failure)) return false;
#define EDGEBENCH_TFLITE_FIND(result, name, arguments) \
  if (!library.find(#name, &api_.name, failure)) return false;
    EDGEBENCH_TFLITE_FUNCTIONS(EDGEBENCH_TFLITE_FIND)
#undef EDGEBENCH_TFLITE_FIND
    return true;
  }

  const char* version() override { return api_.TfLiteVersion(); }
  bool supports(const char* backend) override { return strcmp(backend, "cpu") == 0 || strcmp(backend, "xnnpack") == 0; }
  bool has_names() override { return true; }

  bool load(const LoadRequest& request, Failure* failure) override {
    tflite::Model model = api_.TfLiteModelCreateFromFileWithErrorReporter(request.model_path, keep_message, this);
    if (model == nullptr) return refused("model", Code::model_invalid, failure);
    tflite::Options options = api_.TfLiteInterpreterOptionsCreate();
    api_.TfLiteInterpreterOptionsSetNumThreads(options, request.threads);
    api_.TfLiteInterpreterOptionsSetErrorReporter(options, keep_message, this);
    if (request.profile != nullptr) api_.TfLiteInterpreterOptionsSetTelemetryProfiler(options, &telemetry_);
    tflite::XnnpackOptions xnnpack = api_.TfLiteXNNPackDelegateOptionsDefault();
    xnnpack.threads = request.threads > 1 ? request.threads : 0;  // 0: the calling thread, and no pool
    tflite::Delegate delegate = api_.TfLiteXNNPackDelegateCreate(&xnnpack);
    if (delegate == nullptr) return refused("XNNPACK", Code::runtime_error, failure);
    api_.TfLiteInterpreterOptionsAddDelegate(options, delegate);
    // XNNPACK takes the graph here, as far as it can.
    tflite::Interpreter interpreter = api_.TfLiteInterpreterCreate(model, options);
    if (interpreter == nullptr) return refused("interpreter", Code::model_invalid, failure);
    if (api_.TfLiteInterpreterGetSignatureCount(interpreter) < 1)
      return fail(failure, Code::model_invalid, "TensorFlow Lite: the model has no signature");
    const char* key = api_.TfLiteInterpreterGetSignatureKey(interpreter, kSignature);
    signature_ = api_.TfLiteInterpreterGetSignatureRunner(interpreter, key);
    if (signature_ == nullptr) return refused("signature", Code::model_invalid, failure);
    if (api_.TfLiteSignatureRunnerAllocateTensors(signature_) != 0) return refused("tensors", Code::model_invalid, failure);
    return true;
  }

  size_t count(Side side) override {
    return side == Side::input ? api_.TfLiteSignatureRunnerGetInputCount(signature_)
                               : api_.TfLiteSignatureRunnerGetOutputCount(signature_);
  }

  bool info(Side side, size_t index, TensorInfo* info, Failure* failure) override {
    const char* name = this->name(side, index);
    tflite::Tensor tensor = this->tensor(side, name);
    if (tensor == nullptr) return refused("tensor", Code::model_invalid, failure);
    if (strlen(name) >= sizeof info->name)
      return fail(failure, Code::model_invalid, "TensorFlow Lite: the name of a tensor is too long");
    snprintf(info->name, sizeof info->name, "%s", name);
    info->dtype = dtype_of(api_.TfLiteTensorType(tensor));
    int rank = api_.TfLiteTensorNumDims(tensor);
    if (rank < 0 || rank > kMaxRank)
      return fail(failure, Code::model_invalid, "TensorFlow Lite: %s has %d dimensions", name, rank);
    info->shape.rank = rank;
    // The signature has -1 where the model leaves a dimension open; without one all are fixed.
    int32_t signed_rank = -1;
    api_.TfLiteOpaqueTensorGetNumDimsSignature(tensor, &signed_rank);
    for (int i = 0; i < rank; ++i) {
      int32_t dim = api_.TfLiteTensorDim(tensor, i), open = 0;
      if (signed_rank == rank && api_.TfLiteOpaqueTensorGetDimSignature(tensor, i, &open) == 0 && open < 0) dim = -1;
      info->shape.dims[i] = dim;
    }
    return true;
  }

  bool bind(const Bound* inputs, const Bound* outputs, Failure* failure) override {
    for (size_t i = 0; i < count(Side::input); ++i)
      if (!resize(inputs[i], failure)) return false;
    if (api_.TfLiteSignatureRunnerAllocateTensors(signature_) != 0)
      return refused("tensors", Code::signature_mismatch, failure);
    inputs_.assign(inputs, inputs + count(Side::input));
    outputs_.assign(outputs, outputs + count(Side::output));
    return match(inputs_, failure);
  }

  bool invoke(Failure* failure) override {
    // Into the interpreter's own memory, where this interface wants it: part of every inference, as an application's
    // own writing would be.
    times_.begin_inference();
    for (size_t i = 0; i < inputs_.size(); ++i) memcpy(input_data_[i], inputs_[i].data, inputs_[i].bytes);
    return __builtin_expect(api_.TfLiteSignatureRunnerInvoke(signature_) == 0, 1) ||
           refused("run", Code::runtime_error, failure);
  }

  void profile_anew() override { times_.clear(); }

  const char* profile(ProfileSink* sink) override {
    if (times_.empty()) return "this build of TensorFlow Lite tells of no operator";
    times_.tell(sink);
    return nullptr;
  }

  bool fetch(Failure* failure) override {
    for (const Bound& output : outputs_) {
      tflite::Tensor tensor = this->tensor(Side::output, output.info.name);
      if (api_.TfLiteTensorByteSize(tensor) != output.bytes)
        return fail(failure, Code::signature_mismatch, "TensorFlow Lite: %s has %zu bytes, not %zu", output.info.name,
                    api_.TfLiteTensorByteSize(tensor), output.bytes);
      memcpy(output.data, api_.TfLiteTensorData(tensor), output.bytes);
    }
    return true;
  }

 private:
  static TfliteRuntime* self(tflite::Telemetry* telemetry) { return static_cast<TfliteRuntime*>(telemetry->data); }

  static void heard(tflite::Telemetry*, const char*, uint64_t) {}
  static void heard_operator(tflite::Telemetry*, const char*, int64_t, int64_t, uint64_t) {}
  static void heard_settings(tflite::Telemetry*, const char*, const void*) {}

  static uint32_t begun(tflite::Telemetry* telemetry, const char* name, int64_t, int64_t) {
    std::vector<Open>& open = self(telemetry)->open_;
    if (!open.empty()) open.back().has_inner = true;
    open.push_back({name, now_ns(), false});
    return static_cast<uint32_t>(open.size());
  }

  static void ended(tflite::Telemetry* telemetry, uint32_t handle) {
    std::vector<Open>& open = self(telemetry)->open_;
    if (handle == 0 || handle > open.size()) return;
    open.resize(handle);
    const Open& call = open.back();
    // the delegate as a whole stands for what it tells of its operators; where it tells nothing, for itself
    const bool delegate = strstr(call.name.c_str(), "Delegate") != nullptr;
    if (!call.has_inner)
      self(telemetry)->times_.add(call.name.c_str(), delegate ? "xnnpack" : "tflite", static_cast<uint64_t>(now_ns() - call.start_ns));
    open.pop_back();
  }

  static void timed(tflite::Telemetry* telemetry, const char* name, uint64_t elapsed_us, int64_t, int64_t) {
    if (!self(telemetry)->open_.empty()) self(telemetry)->open_.back().has_inner = true;
    self(telemetry)->times_.add(name, "xnnpack", elapsed_us * 1000);
  }

  // Keeps the first of what the library says went wrong; the later ones follow from it.
  __attribute__((format(printf, 2, 0))) static void keep_message(void* user, const char* format, va_list arguments) {
    char* message = static_cast<TfliteRuntime*>(user)->message_;
    if (message[0] == '\0') vsnprintf(message, sizeof message_, format, arguments);
  }

  bool refused(const char* what, Code code, Failure* failure) {
    return fail(failure, code, "TensorFlow Lite %s: %s: %s", version(), what, message_[0] ? message_ : "refused");
  }

  const char* name(Side side, size_t index) {
    int32_t at = static_cast<int32_t>(index);
    return side == Side::input ? api_.TfLiteSignatureRunnerGetInputName(signature_, at)
                               : api_.TfLiteSignatureRunnerGetOutputName(signature_, at);
  }

  tflite::Tensor tensor(Side side, const char* name) {
    return side == Side::input ? api_.TfLiteSignatureRunnerGetInputTensor(signature_, name)
                               : api_.TfLiteSignatureRunnerGetOutputTensor(signature_, name);
  }

  // Fixes the dimensions that the model leaves open.
  bool resize(const Bound& bound, Failure* failure) {
    tflite::Tensor tensor = this->tensor(Side::input, bound.info.name);
    int dims[kMaxRank] = {};
    bool same = true;
    for (int i = 0; i < bound.info.shape.rank; ++i) {
      dims[i] = static_cast<int>(bound.info.shape.dims[i]);
      if (dims[i] != bound.info.shape.dims[i])
        return fail(failure, Code::signature_mismatch, "%s is too large for TensorFlow Lite", ShapeText(bound.info.shape).text);
      same = same && dims[i] == api_.TfLiteTensorDim(tensor, i);
    }
    return same || api_.TfLiteSignatureRunnerResizeInputTensor(signature_, bound.info.name, dims, bound.info.shape.rank) == 0 ||
           refused("resize", Code::signature_mismatch, failure);
  }

  // Where the inputs go. It stays there: only a resize would move it.
  bool match(const std::vector<Bound>& bound, Failure* failure) {
    input_data_.clear();
    for (const Bound& entry : bound) {
      tflite::Tensor tensor = this->tensor(Side::input, entry.info.name);
      if (api_.TfLiteTensorByteSize(tensor) != entry.bytes || api_.TfLiteTensorData(tensor) == nullptr)
        return fail(failure, Code::signature_mismatch, "TensorFlow Lite wants %zu bytes for \"%s\", the plan leads to %zu",
                    api_.TfLiteTensorByteSize(tensor), entry.info.name, entry.bytes);
      input_data_.push_back(api_.TfLiteTensorData(tensor));
    }
    return true;
  }

  tflite::Api api_ = {};
  tflite::Signature signature_ = nullptr;
  std::vector<Bound> inputs_, outputs_;
  std::vector<void*> input_data_;
  char message_[500] = "";

  struct Open {
    std::string name;
    int64_t start_ns;
    bool has_inner;
  };
  tflite::Telemetry telemetry_ = {this, heard, heard_operator, heard_settings, begun, ended, timed};
  std::vector<Open> open_;
  OperatorTimes times_;
};

}  // namespace

Runtime* make_tflite_runtime() { return new TfliteRuntime; }

}  // namespace edgebench
