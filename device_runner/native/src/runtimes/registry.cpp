// The runtimes this runner knows: a line here for each.
#include <cstring>

#include "../runtime.h"

namespace edgebench {

Runtime* onnx_runtime();
Runtime* litert_runtime();
Runtime* executorch_runtime();

namespace {
constexpr struct {
  const char* name;
  Runtime* (*make)();
} kRuntimes[] = {
    {"onnx", onnx_runtime},
    {"tflite", litert_runtime},
    {"executorch", executorch_runtime},
};
}  // namespace

Runtime* find_runtime(const char* name) {
  for (const auto& entry : kRuntimes)
    if (strcmp(entry.name, name) == 0) return entry.make();
  return nullptr;
}

const char* runtime_name(size_t index) {
  return index < sizeof kRuntimes / sizeof *kRuntimes ? kRuntimes[index].name : nullptr;
}

}  // namespace edgebench
