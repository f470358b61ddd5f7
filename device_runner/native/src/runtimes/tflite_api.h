// The part of TensorFlow Lite's C API (2.14) that we use, declared by hand from its documentation.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>

namespace edgebench::tflite {

using Status = int;  // 0 is success
using Model = struct ModelT*;
using Options = struct OptionsT*;
using Interpreter = struct InterpreterT*;
using Signature = struct SignatureT*;
using Tensor = struct TensorT*;
using Delegate = struct DelegateT*;
using Reporter = void(void* user, const char* format, va_list);

enum : int {
  kFloat32 = 1,
  kInt32 = 2,
  kUint8 = 3,
  kInt64 = 4,
  kBool = 6,
  kInt16 = 7,
  kInt8 = 9,
  kFloat16 = 10,
};

// Of XNNPACK, as the library's own default has them; only the threads are for us.
struct XnnpackOptions {
  int32_t threads;
  uint32_t flags;
  void* weights_cache;
  bool handle_variable_ops;
};
static_assert(sizeof(XnnpackOptions) == 24, "the layout is the library's");

// What the library calls at the begin and the end of an operator, of its own or of a delegate that tells of them.
struct Telemetry {
  void* data;
  void (*event)(Telemetry*, const char* name, uint64_t status);
  void (*operator_event)(Telemetry*, const char* name, int64_t index, int64_t subgraph, uint64_t status);
  void (*settings)(Telemetry*, const char* name, const void* settings);
  uint32_t (*begin)(Telemetry*, const char* name, int64_t index, int64_t subgraph);
  void (*end)(Telemetry*, uint32_t handle);
  // Of one that was timed by the delegate itself.
  void (*timed)(Telemetry*, const char* name, uint64_t elapsed_us, int64_t index, int64_t subgraph);
};

// One pointer for each function we call; the name is what dlsym is asked for.
#define EDGEBENCH_TFLITE_FUNCTIONS(X)                                                             \
  X(const char*, TfLiteVersion, ())                                                               \
  X(Model, TfLiteModelCreateFromFileWithErrorReporter, (const char* path, Reporter*, void* user)) \
  X(Options, TfLiteInterpreterOptionsCreate, ())                                                  \
  X(void, TfLiteInterpreterOptionsSetNumThreads, (Options, int32_t))                              \
  X(void, TfLiteInterpreterOptionsSetErrorReporter, (Options, Reporter*, void* user))             \
  X(XnnpackOptions, TfLiteXNNPackDelegateOptionsDefault, ())                                      \
  X(Delegate, TfLiteXNNPackDelegateCreate, (const XnnpackOptions*))                               \
  X(void, TfLiteInterpreterOptionsAddDelegate, (Options, Delegate))                               \
  X(void, TfLiteInterpreterOptionsSetTelemetryProfiler, (Options, Telemetry*))                    \
  X(Interpreter, TfLiteInterpreterCreate, (Model, Options))                                       \
  X(int32_t, TfLiteInterpreterGetSignatureCount, (Interpreter))                                   \
  X(const char*, TfLiteInterpreterGetSignatureKey, (Interpreter, int32_t))                        \
  X(Signature, TfLiteInterpreterGetSignatureRunner, (Interpreter, const char* key))               \
  X(size_t, TfLiteSignatureRunnerGetInputCount, (Signature))                                      \
  X(const char*, TfLiteSignatureRunnerGetInputName, (Signature, int32_t))                         \
  X(Tensor, TfLiteSignatureRunnerGetInputTensor, (Signature, const char* name))                   \
  X(Status, TfLiteSignatureRunnerResizeInputTensor, (Signature, const char* name, const int* dims, int32_t)) \
  X(Status, TfLiteSignatureRunnerAllocateTensors, (Signature))                                    \
  X(Status, TfLiteSignatureRunnerInvoke, (Signature))                                             \
  X(size_t, TfLiteSignatureRunnerGetOutputCount, (Signature))                                     \
  X(const char*, TfLiteSignatureRunnerGetOutputName, (Signature, int32_t))                        \
  X(Tensor, TfLiteSignatureRunnerGetOutputTensor, (Signature, const char* name))                  \
  X(int, TfLiteTensorType, (Tensor))                                                              \
  X(int32_t, TfLiteTensorNumDims, (Tensor))                                                       \
  X(int32_t, TfLiteTensorDim, (Tensor, int32_t))                                                  \
  X(int32_t, TfLiteOpaqueTensorGetDimSignature, (Tensor, int32_t, int32_t* dim))                  \
  X(int32_t, TfLiteOpaqueTensorGetNumDimsSignature, (Tensor, int32_t* rank))                      \
  X(size_t, TfLiteTensorByteSize, (Tensor))                                                       \
  X(void*, TfLiteTensorData, (Tensor))

struct Api {
#define EDGEBENCH_TFLITE_MEMBER(result, name, arguments) result(*name) arguments;
  EDGEBENCH_TFLITE_FUNCTIONS(EDGEBENCH_TFLITE_MEMBER)
#undef EDGEBENCH_TFLITE_MEMBER
};

}  // namespace edgebench::tflite
