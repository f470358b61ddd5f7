// Stands for ExecuTorch until its plugin is opened.
#include <cstring>

#include "../runtime.h"
#include "library.h"
#include "plugin.h"

namespace edgebench {

namespace {

class ExecuTorchProxy : public Runtime {
 public:
  bool open(const char* lib_dir, Failure* failure) override {
    Library library;
    PluginEntry* entry = nullptr;
    if (!library.open(lib_dir, "libedgebench_executorch.so", failure)) return false;
    if (!library.find(kPluginEntry, &entry, failure)) return false;
    plugin_ = entry(kPluginVersion);
    if (plugin_ == nullptr)
      return fail(failure, Code::library_missing, "libedgebench_executorch.so is of another build");
    return plugin_->open(lib_dir, failure);
  }
  bool supports(const char* backend) override { return strcmp(backend, "cpu") == 0 || strcmp(backend, "xnnpack") == 0; }
  const char* version() override { return plugin_->version(); }
  bool registered(NameSink* sink) override { return plugin_->registered(sink); }
  bool load(const LoadRequest& request, Failure* failure) override { return plugin_->load(request, failure); }
  bool has_names() override { return plugin_->has_names(); }
  size_t count(Side side) override { return plugin_->count(side); }
  bool info(Side side, size_t index, TensorInfo* info, Failure* failure) override {
    return plugin_->info(side, index, info, failure);
  }
  bool bind(const Bound* inputs, const Bound* outputs, Failure* failure) override {
    return plugin_->bind(inputs, outputs, failure);
  }
  bool invoke(Failure* failure) override { return plugin_->invoke(failure); }
  bool fetch(Failure* failure) override { return plugin_->fetch(failure); }
  void profile_anew() override { plugin_->profile_anew(); }
  const char* profile(ProfileSink* sink) override { return plugin_->profile(sink); }

 private:
  Runtime* plugin_ = nullptr;
};

}  // namespace

Runtime* make_executorch_runtime() { return new ExecuTorchProxy; }

}  // namespace edgebench
