// What a runtime must be able to do. One file in runtimes/ implements it for each; the line in
// runtimes/registry.cpp makes it known. Only plain data crosses it, so a runtime may also live in a plugin that
// was linked against another C++ library.
#pragma once

#include <cstddef>
#include <cstdint>

#include "failure.h"
#include "tensor.h"

namespace edgebench {

struct TensorInfo {
  char name[256] = "";  // empty where the model gives none
  DType dtype = DType::other;
  Shape shape;  // -1: dynamic
};

enum class Side { input, output };

struct LoadRequest {
  const char* model_path;
  const char* backend;
  int threads;
  // Other models run in this process between two calls of this one.
  bool chained;
  // With the runtime's own profiler: a path that its files begin with. Null, as in every launch that is timed: without.
  const char* profile;
};

// What a runtime's own profiler says of one operator of a graph, all its calls together.
struct OperatorTime {
  const char* name;
  const char* where;  // what ran it: the delegate, or the runtime's own kernels
  uint64_t calls;
  uint64_t elapsed_ns;
  uint64_t median_ns;  // of a call
};

class ProfileSink {
 public:
  virtual void operator_time(const OperatorTime& time) = 0;
  // For a profiler that writes a trace of its own: to be renamed to what is wanted.
  virtual void trace_file(const char* path) = 0;

 protected:
  ~ProfileSink() = default;
};

// What was put into a runtime and can be called by its name.
class NameSink {
 public:
  virtual void kernel(const char* name) = 0;   // more than once where there are several of one operator
  virtual void backend(const char* name) = 0;

 protected:
  ~NameSink() = default;
};

// A buffer of the caller's for one tensor of the model: 64-byte aligned, with 256 readable bytes after it,
// because XNNPACK reads past the end of a row.
struct Bound {
  TensorInfo info;  // with every dimension known
  void* data;
  size_t bytes;
};

class Runtime {
 public:
  // Finds the library and its entry points; loads no model and starts no thread.
  virtual bool open(const char* lib_dir, Failure* failure) = 0;
  // What the library says of itself, or null where it says nothing.
  virtual const char* version() = 0;
  virtual bool supports(const char* backend) = 0;
  // The kernels and backends that it has; false where the library does not tell.
  virtual bool registered(NameSink*) { return false; }
  // Everything an application does before its first inference, for one model.
  virtual bool load(const LoadRequest& request, Failure* failure) = 0;
  virtual bool has_names() = 0;
  virtual size_t count(Side side) = 0;
  virtual bool info(Side side, size_t index, TensorInfo* info, Failure* failure) = 0;
  // One entry for each tensor of the model, in its order. The buffers outlive the runtime.
  virtual bool bind(const Bound* inputs, const Bound* outputs, Failure* failure) = 0;
  // The timed call: from filled input buffers to computed outputs.
  virtual bool invoke(Failure* failure) = 0;
  // Makes the outputs of the last call readable in the bound buffers. Not timed.
  virtual bool fetch(Failure* failure) = 0;
  // After a load with `profile`: forget what was recorded so far, where that can be done.
  virtual void profile_anew() = 0;
  // Ends the profile. Null when the sink was told, else why nothing is known.
  virtual const char* profile(ProfileSink* sink) = 0;

 protected:
  // One for each model, and it lives as long as its process: never deleted.
  ~Runtime() = default;
};

// A new one of that name; null where there is none.
Runtime* make_runtime(const char* name);
const char* runtime_name(size_t index);  // null past the last

}  // namespace edgebench
