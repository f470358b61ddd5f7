// Stands for ExecuTorch's plugin: four floats in, the same four out, and between two calls of it, of whichever model, it
// looks at what was counted. $EDGEBENCH_COUNTS is where it leaves how many calls there were, and before how many of them
// something had been counted since the last one. $EDGEBENCH_ALLOCATE makes each call allocate.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

#include "runtimes/plugin.h"

extern "C" std::atomic<long> edgebench_counted;

namespace edgebench {

namespace {

struct Counts {
  long calls, disturbed;
};
Counts* counts = nullptr;
long last = 0;
bool allocate = false;
void* volatile kept = nullptr;  // or the compiler drops the allocation

class Counting : public Runtime {
 public:
  bool open(const char*, Failure*) override { return true; }
  const char* version() override { return "counting"; }
  bool supports(const char*) override { return true; }
  bool has_names() override { return false; }
  bool load(const LoadRequest&, Failure*) override {
    int fd = ::open(getenv("EDGEBENCH_COUNTS"), O_RDWR | O_CLOEXEC);
    counts = static_cast<Counts*>(mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    allocate = getenv("EDGEBENCH_ALLOCATE") != nullptr;
    return counts != MAP_FAILED;
  }
  size_t count(Side) override { return 1; }
  bool info(Side, size_t, TensorInfo* info, Failure*) override {
    info->dtype = DType::float32;
    info->shape.rank = 1;
    info->shape.dims[0] = 4;
    return true;
  }
  bool bind(const Bound* inputs, const Bound* outputs, Failure*) override {
    input_ = *inputs;
    output_ = *outputs;
    return true;
  }
  bool invoke(Failure*) override {
    counts->calls += 1;
    counts->disturbed += edgebench_counted.load() != last;
    memcpy(output_.data, input_.data, input_.bytes);
    last = edgebench_counted.load();
    if (allocate) {
      kept = malloc(16);
      free(kept);
    }
    return true;
  }
  bool fetch(Failure*) override { return true; }
  void profile_anew() override {}
  const char* profile(ProfileSink*) override { return "it records nothing"; }

 private:
  Bound input_, output_;
};

}  // namespace

extern "C" __attribute__((visibility("default"))) Runtime* edgebench_plugin(int version) {
  return version == kPluginVersion ? new Counting : nullptr;
}

}  // namespace edgebench
