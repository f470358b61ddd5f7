// The part of ONNX Runtime's C API that we use, declared by hand. Its table of functions is only ever appended to,
// so the place of a function is fixed for good; each slot below says which place it is, and everything in between is
// counted, not named.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgebench::ort {

// Opaque to us.
struct Env;
struct Status;
struct Session;
struct SessionOptions;
struct RunOptions;
struct TypeInfo;
struct TensorInfo;
struct MemoryInfo;
struct Value;
struct Allocator;
struct IoBinding;

using Error = Status*;  // null is success; the caller releases it

// The table of this version has every slot below; newer libraries give it to us unchanged.
constexpr uint32_t kApiVersion = 11;

enum : int { kLogWarning = 2, kLogError = 3 };
enum : int { kSequential = 0 };
enum : int { kOptimiseAll = 99 };
enum : int { kArenaAllocator = 1 };
enum : int { kMemoryDefault = 0 };
enum : int { kTypeTensor = 1 };
enum : int {
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
};

template <size_t count>
struct Unused {
  void* slots[count];
};

struct Api {
  Unused<2> unused0;
  const char* (*get_error_message)(const Status*);
  Error (*create_env)(int log_level, const char* log_id, Env** out);
  Unused<3> unused4;
  Error (*create_session)(const Env*, const char* path, const SessionOptions*, Session** out);
  Unused<2> unused8;
  Error (*create_session_options)(SessionOptions** out);
  Unused<2> unused11;
  Error (*set_execution_mode)(SessionOptions*, int mode);
  Error (*enable_profiling)(SessionOptions*, const char* prefix);
  Unused<8> unused15;
  Error (*set_optimisation_level)(SessionOptions*, int level);
  Error (*set_intra_op_threads)(SessionOptions*, int count);
  Error (*set_inter_op_threads)(SessionOptions*, int count);
  Unused<4> unused26;
  Error (*input_count)(const Session*, size_t* out);
  Error (*output_count)(const Session*, size_t* out);
  Unused<1> unused32;
  Error (*input_type_info)(const Session*, size_t index, TypeInfo** out);
  Error (*output_type_info)(const Session*, size_t index, TypeInfo** out);
  Unused<1> unused35;
  Error (*input_name)(const Session*, size_t index, Allocator*, char** out);
  Error (*output_name)(const Session*, size_t index, Allocator*, char** out);
  Unused<11> unused38;
  Error (*create_tensor)(const MemoryInfo*, void* data, size_t bytes, const int64_t* dims, size_t rank, int type,
                         Value** out);
  Unused<5> unused50;
  Error (*cast_to_tensor_info)(const TypeInfo*, const TensorInfo** out);
  Error (*onnx_type)(const TypeInfo*, int* out);
  Unused<3> unused57;
  Error (*element_type)(const TensorInfo*, int* out);
  Error (*rank)(const TensorInfo*, size_t* out);
  Error (*dims)(const TensorInfo*, int64_t* out, size_t count);
  Unused<6> unused63;
  Error (*create_cpu_memory_info)(int allocator, int memory, MemoryInfo** out);
  Unused<6> unused70;
  Error (*allocator_free)(Allocator*, void*);
  Unused<1> unused77;
  Error (*default_allocator)(Allocator** out);
  Unused<14> unused79;
  void (*release_status)(Status*);
  Unused<4> unused94;
  void (*release_type_info)(TypeInfo*);
  Unused<11> unused99;
  Error (*end_profiling)(Session*, Allocator*, char** file);
  Unused<19> unused111;
  Error (*add_session_config_entry)(SessionOptions*, const char* key, const char* value);
  Unused<2> unused131;
  Error (*run_with_binding)(Session*, const RunOptions*, const IoBinding*);
  Error (*create_binding)(Session*, IoBinding** out);
  Unused<1> unused135;
  Error (*bind_input)(IoBinding*, const char* name, const Value*);
  Error (*bind_output)(IoBinding*, const char* name, const Value*);
};

template <typename Slot>
constexpr bool at(size_t offset, size_t place) {
  return offset == place * sizeof(Slot);
}
static_assert(at<void*>(offsetof(Api, get_error_message), 2));
static_assert(at<void*>(offsetof(Api, create_env), 3));
static_assert(at<void*>(offsetof(Api, create_session), 7));
static_assert(at<void*>(offsetof(Api, create_session_options), 10));
static_assert(at<void*>(offsetof(Api, set_execution_mode), 13));
static_assert(at<void*>(offsetof(Api, enable_profiling), 14));
static_assert(at<void*>(offsetof(Api, set_optimisation_level), 23));
static_assert(at<void*>(offsetof(Api, set_intra_op_threads), 24));
static_assert(at<void*>(offsetof(Api, set_inter_op_threads), 25));
static_assert(at<void*>(offsetof(Api, input_count), 30));
static_assert(at<void*>(offsetof(Api, output_count), 31));
static_assert(at<void*>(offsetof(Api, input_type_info), 33));
static_assert(at<void*>(offsetof(Api, output_type_info), 34));
static_assert(at<void*>(offsetof(Api, input_name), 36));
static_assert(at<void*>(offsetof(Api, output_name), 37));
static_assert(at<void*>(offsetof(Api, create_tensor), 49));
static_assert(at<void*>(offsetof(Api, cast_to_tensor_info), 55));
static_assert(at<void*>(offsetof(Api, onnx_type), 56));
static_assert(at<void*>(offsetof(Api, element_type), 60));
static_assert(at<void*>(offsetof(Api, rank), 61));
static_assert(at<void*>(offsetof(Api, dims), 62));
static_assert(at<void*>(offsetof(Api, create_cpu_memory_info), 69));
static_assert(at<void*>(offsetof(Api, allocator_free), 76));
static_assert(at<void*>(offsetof(Api, default_allocator), 78));
static_assert(at<void*>(offsetof(Api, release_status), 93));
static_assert(at<void*>(offsetof(Api, release_type_info), 98));
static_assert(at<void*>(offsetof(Api, end_profiling), 110));
static_assert(at<void*>(offsetof(Api, add_session_config_entry), 130));
static_assert(at<void*>(offsetof(Api, run_with_binding), 133));
static_assert(at<void*>(offsetof(Api, create_binding), 134));
static_assert(at<void*>(offsetof(Api, bind_input), 136));
static_assert(at<void*>(offsetof(Api, bind_output), 137));

struct ApiBase {
  const Api* (*get_api)(uint32_t version);
  const char* (*version)();
};

}  // namespace edgebench::ort
