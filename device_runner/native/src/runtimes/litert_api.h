// The part of LiteRT's C API (libLiteRt.so 2.3) that we use, declared by hand from what the library takes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgebench::litert {

using Status = int;  // 0 is success
using Environment = struct EnvironmentT*;
using Model = struct ModelT*;
using Signature = struct SignatureT*;
using Tensor = struct TensorT*;
using Options = struct OptionsT*;
using OpaqueOptions = struct OpaqueOptionsT*;
using CompiledModel = struct CompiledModelT*;
using Requirements = struct RequirementsT*;
using Buffer = struct BufferT*;
using Profiler = struct ProfilerT*;

enum : int { kAcceleratorCpu = 1 };
enum : int { kHostMemory = 1 };
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

constexpr int kMaxRank = 8;

struct Layout {
  uint32_t rank : 7;
  uint32_t has_strides : 1;
  int32_t dims[kMaxRank];
  uint32_t strides[kMaxRank];
};

struct RankedType {
  int element_type;
  Layout layout;
};
static_assert(sizeof(Layout) == 68 && sizeof(RankedType) == 72 && offsetof(RankedType, layout) == 4,
              "the layout is the library's");

// An event of the profiler: an operator of XNNPACK (a delegate that tells of its own operators) or of TFLite itself, else
// something around them. Times are in microseconds.
enum : int { kEventOther = 1, kEventOperator = 2, kEventDelegateOperator = 4, kEventProfiledDelegateOperator = 8 };
struct Event {
  const char* tag;
  int type;
  uint64_t start_us;
  uint64_t elapsed_us;
  int64_t memory[6];
  uint64_t metadata[2];
  int source;
};
static_assert(sizeof(Event) == 104, "the layout is the library's");

// One pointer for each function we call; the name is what dlsym is asked for.
#define EDGEBENCH_LITERT_FUNCTIONS(X)                                                                          \
  X(LiteRtCreateEnvironment, (int option_count, const void* options, Environment*))                            \
  X(LiteRtCreateModelFromFile, (Environment, const char* path, Model*))                                        \
  X(LiteRtGetNumModelSignatures, (Model, size_t*))                                                             \
  X(LiteRtGetModelSignature, (Model, size_t, Signature*))                                                      \
  X(LiteRtGetNumSignatureInputs, (Signature, size_t*))                                                         \
  X(LiteRtGetNumSignatureOutputs, (Signature, size_t*))                                                        \
  X(LiteRtGetSignatureInputName, (Signature, size_t, const char**))                                            \
  X(LiteRtGetSignatureOutputName, (Signature, size_t, const char**))                                           \
  X(LiteRtGetSignatureInputTensorByIndex, (Signature, size_t, Tensor*))                                        \
  X(LiteRtGetSignatureOutputTensorByIndex, (Signature, size_t, Tensor*))                                       \
  X(LiteRtGetRankedTensorType, (Tensor, RankedType*))                                                          \
  X(LiteRtCreateOptions, (Options*))                                                                           \
  X(LiteRtSetOptionsHardwareAccelerators, (Options, int))                                                      \
  X(LiteRtCreateOpaqueOptions, (const char* id, void* payload, void (*destroy)(void*), OpaqueOptions*))        \
  X(LiteRtAddOpaqueOptions, (Options, OpaqueOptions))                                                          \
  X(LiteRtCreateCompiledModel, (Environment, Model, Options, CompiledModel*))                                  \
  X(LiteRtCompiledModelResizeInputTensor, (CompiledModel, size_t signature, size_t input, const int* dims, size_t)) \
  X(LiteRtGetCompiledModelInputBufferRequirements, (CompiledModel, size_t signature, size_t, Requirements*))   \
  X(LiteRtGetCompiledModelOutputBufferRequirements, (CompiledModel, size_t signature, size_t, Requirements*))  \
  X(LiteRtGetTensorBufferRequirementsBufferSize, (Requirements, size_t*))                                      \
  X(LiteRtCreateTensorBufferFromHostMemory, (const RankedType*, void*, size_t, void (*)(void*), Buffer*))      \
  X(LiteRtRunCompiledModel, (CompiledModel, size_t signature, size_t, Buffer*, size_t, Buffer*))               \
  X(LiteRtCompiledModelGetProfiler, (CompiledModel, Profiler*))                                                \
  X(LiteRtStartProfiler, (Profiler))                                                                           \
  X(LiteRtStopProfiler, (Profiler))                                                                            \
  X(LiteRtResetProfiler, (Profiler))                                                                           \
  X(LiteRtGetNumProfilerEvents, (Profiler, int*))                                                              \
  X(LiteRtGetProfilerEvents, (Profiler, int count, Event*))

struct Api {
#define EDGEBENCH_LITERT_MEMBER(name, arguments) Status(*name) arguments;
  EDGEBENCH_LITERT_FUNCTIONS(EDGEBENCH_LITERT_MEMBER)
#undef EDGEBENCH_LITERT_MEMBER
};

}  // namespace edgebench::litert
