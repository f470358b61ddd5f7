// The runtimes this runner knows: a line here for each.
#include <cstring>

#include "../runtime.h"

namespace edgebench {

Runtime* make_onnx_runtime();
Runtime* make_tflite_runtime();  // litert.cpp, or tflite_capi.cpp where there is no LiteRT
Runtime* make_executorch_runtime();

namespace {
constexpr struct {
  const char* name;
  Runtime* (*make)();
} kRuntimes[] = {
    {"onnx", make_onnx_runtime},
    {"tflite", make_tflite_runtime},
    {"executorch", make_executorch_runtime},
};
}  // namespace

Runtime* make_runtime(const char* name) {
  for (const auto& entry : kRuntimes)
    if (strcmp(entry.name, name) == 0) return entry.make();
  return nullptr;
}

const char* runtime_name(size_t index) {
  return index < sizeof kRuntimes / sizeof *kRuntimes ? kRuntimes[index].name : nullptr;
}

}  // namespace edgebench
