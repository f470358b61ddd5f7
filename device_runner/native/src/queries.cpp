#include "queries.h"

#include <unistd.h>

#include <utility>
#include <vector>

#include "host.h"
#include "paths.h"
#include "runtime.h"
#include "supervisor.h"
#include "worker.h"

namespace edgebench {

namespace {

constexpr Limits kLimits = {120, 8u << 20};

bool tensors_json(Runtime* runtime, Side side, std::string* out, Failure* failure) {
  *out = "[";
  for (size_t i = 0; i < runtime->count(side); ++i) {
    TensorInfo info;
    if (!runtime->info(side, i, &info, failure)) return false;
    if (i > 0) *out += ",";
    *out += "{\"name\":" + json_string(info.name) + ",\"dtype\":" + json_string(dtype_name(info.dtype)) +
            ",\"shape\":" + ShapeText(info.shape).text + "}";
  }
  *out += "]";
  return true;
}

class DescribeJob : public Job {
 public:
  DescribeJob(const std::string& model, const std::string& runtime, const std::string& lib_dir)
      : model_(model), runtime_(runtime), lib_dir_(lib_dir) {}

  int run(Channel* channel) override {
    Failure failure;
    std::string inputs, outputs;
    Runtime* runtime = make_runtime(runtime_.c_str());
    OpenFile file;
    bool done = open_anywhere(model_, {Code::model_missing, Code::model_invalid}, &file, &failure);
    if (done && runtime == nullptr)
      done = fail(&failure, Code::plan_invalid, "runtime: \"%s\" is not one of ours", runtime_.c_str());
    if (done && file.bytes == 0) done = fail(&failure, Code::model_invalid, "%s is empty", model_.c_str());
    LoadRequest request = {file.real.c_str(), "cpu", 1, false, nullptr};
    done = done && runtime->open(lib_dir_.c_str(), &failure) && runtime->load(request, &failure) &&
           tensors_json(runtime, Side::input, &inputs, &failure) &&
           tensors_json(runtime, Side::output, &outputs, &failure);
    if (!done) return channel->failed(failure);
    Line line("describe");
    channel->send(line.raw("inputs", inputs).raw("outputs", outputs));
    return 0;
  }

 private:
  std::string model_, runtime_, lib_dir_;
};

class KernelsJob : public Job, private NameSink {
 public:
  KernelsJob(const std::string& runtime, const std::string& lib_dir) : runtime_(runtime), lib_dir_(lib_dir) {}

  int run(Channel* channel) override {
    Failure failure;
    Runtime* runtime = make_runtime(runtime_.c_str());
    bool done = runtime != nullptr || fail(&failure, Code::plan_invalid, "runtime: \"%s\" is not one of ours", runtime_.c_str());
    done = done && runtime->open(lib_dir_.c_str(), &failure);
    if (done && !runtime->registered(this))
      done = fail(&failure, Code::runtime_error, "%s does not tell which kernels it has", runtime_.c_str());
    if (!done) return channel->failed(failure);
    Line line("kernels");
    channel->send(line.raw("kernels", "[" + kernels_ + "]").raw("backends", "[" + backends_ + "]"));
    return 0;
  }

 private:
  void kernel(const char* name) override { add(name, &kernels_); }
  void backend(const char* name) override { add(name, &backends_); }
  static void add(const char* name, std::string* list) { *list += (list->empty() ? "" : ",") + json_string(name); }

  std::string runtime_, lib_dir_, kernels_, backends_;
};

class VersionJob : public Job {
 public:
  VersionJob(const char* runtime, const std::string& lib_dir) : runtime_(runtime), lib_dir_(lib_dir) {}

  int run(Channel* channel) override {
    Failure failure;
    Runtime* runtime = make_runtime(runtime_);
    if (!runtime->open(lib_dir_.c_str(), &failure)) return channel->failed(failure);
    std::string version = runtime_version(runtime, runtime_, lib_dir_);
    Line line("end");
    channel->send(line.text("version", version.empty() ? "unknown" : version.c_str()));
    return 0;
  }

 private:
  const char* runtime_;
  std::string lib_dir_;
};

// Keeps the one line of a job instead of printing it.
class KeepSink : public Sink {
 public:
  bool line(const std::string&, const Json& json) override {
    last = json;
    return true;
  }
  Json last;
};

// As far as no runtime is asked.
Line hello_line() {
  Line line("hello");
  line.integer("protocol", 1).raw("build", build_json()).text("abi", abi_name()).raw("cpu", cpu_json());
  return line.integer("pid", getpid());
}

}  // namespace

int describe_command(const std::string& model, const std::string& runtime, const std::string& lib_dir) {
  DescribeJob job(model, runtime, lib_dir);
  FdSink sink(STDOUT_FILENO);
  return supervise(&job, kLimits, &sink, -1, Phase::describe);
}

int kernels_command(const std::string& runtime, const std::string& lib_dir) {
  KernelsJob job(runtime, lib_dir);
  FdSink sink(STDOUT_FILENO);
  return supervise(&job, kLimits, &sink, -1, Phase::describe);
}

int describe_here(const std::string& model, const std::string& runtime, const std::string& lib_dir, Channel* channel) {
  channel->enter(Phase::describe);
  return DescribeJob(model, runtime, lib_dir).run(channel);
}

int hello_here(const std::string& lib_dir, const std::string& notes_dir, Channel* channel) {
  channel->enter(Phase::hello);
  std::string versions = "{", errors = "{";
  for (size_t i = 0; const char* name = runtime_name(i); ++i) {
    Failure failure;
    Runtime* runtime = make_runtime(name);
    bool opened = runtime->open(lib_dir.c_str(), &failure);
    std::string version = opened ? runtime_version(runtime, name, notes_dir) : "";
    if (i > 0) versions += ",";
    versions += json_string(name) + ":" + (opened ? json_string(version.empty() ? "unknown" : version.c_str()) : "null");
    if (opened) continue;
    if (errors.size() > 1) errors += ",";
    errors += json_string(name) + ":" + json_string(failure.message);
  }
  channel->send(hello_line().raw("runtimes", versions + "}").raw("missing", errors + "}"));
  return 0;
}

int hello_command(const std::string& only, const std::string& lib_dir) {
  Line line = hello_line();
  if (!only.empty() && make_runtime(only.c_str()) == nullptr) {
    Failure failure;
    fail(&failure, Code::plan_invalid, "runtime: \"%s\" is not one of ours", only.c_str());
    write_line(STDOUT_FILENO, error_line(failure, "hello", 0));
    return exit_code(failure.code);
  }
  std::string versions = "{", errors = "{";
  for (size_t i = 0; const char* name = runtime_name(i); ++i) {
    if (!only.empty() && only != name) continue;
    // A process of its own for each: runtimes are never loaded together, and one that crashes is just absent.
    VersionJob job(name, lib_dir);
    KeepSink sink;
    int code = supervise(&job, kLimits, &sink, -1, Phase::hello);
    const Json* version = sink.last.get("version");
    const Json* message = sink.last.get("message");
    if (versions.size() > 1) versions += ",";
    versions += json_string(name) + ":" + (version ? json_string(version->string.c_str()) : "null");
    if (version != nullptr) continue;
    if (!only.empty()) {
      Failure failure;
      fail(&failure, Code::library_missing, "%s", message ? message->string.c_str() : "it could not be opened");
      write_line(STDOUT_FILENO, error_line(failure, "hello", 0));
      return code == 0 ? exit_code(Code::internal) : code;
    }
    if (errors.size() > 1) errors += ",";
    errors += json_string(name) + ":" + json_string(message ? message->string.c_str() : "it could not be opened");
  }
  line.raw("runtimes", versions + "}").raw("missing", errors + "}");
  write_line(STDOUT_FILENO, line.str());
  return 0;
}

}  // namespace edgebench
