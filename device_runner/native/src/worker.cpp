#include "worker.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "affinity.h"
#include "crossings.h"
#include "host.h"
#include "in_turns.h"
#include "json.h"
#include "load.h"
#include "phases.h"
#include "pipeline.h"
#include "process.h"
#include "profile.h"
#include "samples.h"
#include "streams.h"
#include "token.h"

namespace edgebench {

namespace {

bool time_adapters(Channel* channel, Pipeline* pipeline, Failure* failure) {
  constexpr size_t kTimes = 5;
  int64_t input[kTimes], output[kTimes];
  for (size_t i = 0; i < kTimes; ++i) {
    int64_t start = now_ns();
    if (!pipeline->adapt_inputs(failure)) return false;
    int64_t middle = now_ns();
    if (!pipeline->adapt_outputs(failure)) return false;
    input[i] = middle - start;
    output[i] = now_ns() - middle;
  }
  std::sort(input, input + kTimes);
  std::sort(output, output + kTimes);
  Line line("adapters");
  channel->send(line.integer("input_ns", input[kTimes / 2]).integer("output_ns", output[kTimes / 2]));
  return true;
}

bool write_whole(int fd, const void* data, uint64_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    ssize_t n = write(fd, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    bytes -= static_cast<uint64_t>(n);
  }
  return true;
}

// One inference that nobody times.
bool infer(Pipeline* pipeline, Crossings* crossings, Failure* failure) {
  Sample sample;
  Crossing crossing;
  return pipeline->far() == nullptr ? pipeline->invoke(failure) : crossings->infer(pipeline, &sample, &crossing, failure);
}

bool write_outputs(Channel* channel, const Plan& plan, const Directory& dir, Pipeline* pipeline, Crossings* crossings,
                   Failure* failure) {
  int out_dir = -1;
  if (!make_directories(dir, plan.write_outputs, &out_dir, failure)) return false;
  const std::vector<Pipeline::Output>& outputs = pipeline->outputs();
  std::vector<int> files(outputs.size(), -1);
  for (size_t k = 0; k < files.size(); ++k)
    if (!create_file(out_dir, (std::to_string(k) + ".bin").c_str(), &files[k], failure)) return false;
  for (uint64_t index = 0; index < plan.output_cases; ++index) {
    if (!pipeline->feed(index, failure) || !infer(pipeline, crossings, failure) || !pipeline->fetch(failure)) return false;
    if (!pipeline->adapt_outputs(failure)) return false;
    for (size_t k = 0; k < files.size(); ++k)
      if (!write_whole(files[k], outputs[k].data, outputs[k].bytes))
        return fail(failure, Code::output_failed, "output %zu: %s", k, strerror(errno));
  }
  for (size_t k = 0; k < files.size(); ++k) {
    if (close(files[k]) != 0) return fail(failure, Code::output_failed, "output %zu: %s", k, strerror(errno));
    const TensorPlan& tensor = *outputs[k].plan;
    Line line("output");
    line.number("index", k).text("name", tensor.name.c_str());
    line.text("file", (plan.write_outputs + "/" + std::to_string(k) + ".bin").c_str());
    line.text("dtype", dtype_name(tensor.dtype)).shape("shape", tensor.shape).number("cases", plan.output_cases);
    channel->send(line.number("bytes", outputs[k].bytes * plan.output_cases));
  }
  close(out_dir);
  return true;
}

void report_phase(Channel* channel, const char* event, const Timed& timed) {
  Line line(event);
  line.number("count", timed.count).integer("elapsed_ns", timed.elapsed_ns);
  if (timed.turns > 0) line.number("turns", timed.turns).number("alone", timed.alone);
  channel->send(line);
}

void say_far(Channel* channel, const Plan& plan, const FarStage& far) {
  Line line("far");
  line.text("host", plan.far.address.host.c_str()).number("port", plan.far.address.port);
  line.text("plan_sha256", hex(plan.far.plan).c_str()).number("bytes_sent", far.bytes_sent());
  channel->send(line.number("bytes_received", far.bytes_received()));
}

}  // namespace

void say_hello(Channel* channel, const Plan& plan, const std::string& version) {
  Line line("hello");
  line.integer("protocol", 1).raw("build", build_json()).text("abi", abi_name());
  line.text("runtime", plan.runtime.c_str()).text("backend", plan.backend.c_str());
  line.text("runtime_version", version.empty() ? nullptr : version.c_str());
  line.raw("cpu", cpu_json()).integer("pid", getpid());
  channel->send(line);
}

std::string runtime_version(Runtime* runtime, const char* name, const std::string& notes_dir) {
  if (const char* version = runtime->version()) return version;
  OpenFile file;
  if (!open_anywhere(notes_dir + "/versions.json", {Code::none, Code::none}, &file, nullptr)) return "";
  std::string text, error;
  Json json;
  bool read = read_all(file.fd, 65536, &text) && parse_json(text.data(), text.size(), &json, &error);
  close(file.fd);
  const Json* version = read ? json.get(name) : nullptr;
  return version == nullptr ? "" : version->string;
}

bool PlanJob::steps(Channel* channel, Failure* failure) {
  const bool in_turns = plan_.turn_ms > 0;
  if (in_turns != (turns_.baton != nullptr))
    return fail(failure, Code::plan_invalid, "turn_ms goes with --beside, and --beside with turn_ms");
  // What is loaded is loaded in a turn too: nothing that is measured runs beside another's.
  if (in_turns) turns_.baton->take(turns_.place);
  if (!confine(plan_.affinity, failure)) return false;
  Pipeline pipeline;
  std::string token = surroundings_.token;
  if (!plan_.far.token_file.empty() && !read_token(dir_, plan_.far.token_file, false, &token, failure)) return false;
  pipeline.let_in_with(token);
  if (!pipeline.open_files(plan_, dir_, failure)) return false;
  SampleFile samples;
  if (!samples.create(dir_, plan_.warmup.max_count, plan_.steady.max_count, static_cast<uint64_t>(plan_.streams), failure))
    return false;
  Crossings crossings;
  FarStage* const far = pipeline.far();
  if (far != nullptr && !crossings.create(dir_, plan_, failure)) return false;

  const int threads_before = thread_count();  // more than one under an emulator
  channel->enter(Phase::hello);
  bool opened = pipeline.open_library(lib_dir_.c_str(), failure);
  const std::string& notes = surroundings_.notes_dir.empty() ? lib_dir_ : surroundings_.notes_dir;
  say_hello(channel, plan_, opened && !pipeline.models().empty() ? runtime_version(pipeline.runtime(), plan_.runtime.c_str(), notes) : "");
  if (!opened) return false;
  if (plan_.memory) channel->send(memory_line("library"));

  channel->enter(Phase::load);
  // A process with threads cannot fork safely, and the cold load needs a fork.
  const char* not_cold = nullptr;
  if (plan_.profile) pipeline.profile_to(dir_.real + "/" + kProfilePrefix);
  if (!plan_.load_cold) not_cold = "not asked for";
  else if (plan_.profile) not_cold = "a profile is taken";
  else if (surroundings_.not_cold != nullptr) not_cold = surroundings_.not_cold;
  else if (thread_count() != threads_before) not_cold = "the library started threads when it was opened";
  if (!timed_load(channel, &pipeline, not_cold, failure)) return false;
  if (plan_.memory) channel->send(memory_line("load"));
  const bool alone = plan_.streams == 1;
  if (alone) spread_threads(plan_.affinity, plan_.threads);

  channel->enter(Phase::adapters);
  if (!pipeline.bind(failure) || !pipeline.feed(0, failure)) return false;
  if (!time_adapters(channel, &pipeline, failure)) return false;
  if (far != nullptr) say_far(channel, plan_, *far);

  channel->enter(Phase::first);
  Sample first;
  Crossing crossing = {};
  if (!(far != nullptr ? crossings.infer(&pipeline, &first, &crossing, failure) : time_first(&pipeline, &first, failure)))
    return false;
  Line line("first");
  line.integer("start_ns", first.start_ns).integer("elapsed_ns", first.elapsed_ns);
  if (far != nullptr)
    line.integer("near_ns", crossing.near_ns).integer("round_trip_ns", crossing.round_trip_ns).integer("far_ns", crossing.far_ns);
  channel->send(line);
  crossings.report(channel, "first");
  if (alone) spread_threads(plan_.affinity, plan_.threads);  // a pool may be made only at the first call
  if (plan_.memory) channel->send(memory_line("first"));

  channel->enter(Phase::warmup);
  Streams streams;
  if (!alone && !streams.open(plan_, dir_, lib_dir_.c_str(), &pipeline, failure)) return false;
  for (bool warmup : {true, false}) {
    const PhasePlan& phase = warmup ? plan_.warmup : plan_.steady;
    Sample* out = warmup ? samples.warmup() : samples.steady();
    Timed timed;
    channel->enter(warmup ? Phase::warmup : Phase::steady);
    if (plan_.profile && !warmup)
      for (size_t stage = 0; stage < pipeline.stages(); ++stage) pipeline.runtime(stage)->profile_anew();
    const Round round = warmup ? Round::warmup : Round::steady;
    const bool done = in_turns ? time_in_turns(&pipeline, phase, plan_, turns_, round, out, &timed, failure)
                      : far != nullptr ? crossings.time_phase(&pipeline, phase, warmup, out, &timed, failure)
                      : alone        ? time_phase(&pipeline, phase, plan_, out, &timed, failure)
                                     : streams.time_phase(phase, &samples, warmup, &timed, failure);
    crossings.report(channel, warmup ? "warmup" : "steady");
    if (!done) return false;
    report_phase(channel, warmup ? "warmup" : "steady", timed);
  }

  if (plan_.memory) channel->send(memory_line("steady"));

  channel->enter(Phase::output);
  if (in_turns) wait_for_others(turns_);
  if (plan_.profile) report_profile(channel, dir_, &pipeline);
  const bool done = plan_.write_outputs.empty() || write_outputs(channel, plan_, dir_, &pipeline, &crossings, failure);
  crossings.report(channel, "output");
  if (done && far != nullptr) far->close();
  return done;
}

int PlanJob::run(Channel* channel) {
  Failure failure;
  if (!steps(channel, &failure)) return channel->failed(failure);
  channel->enter(Phase::rusage);
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  channel->send(usage_line(usage, peak_resident_kb()));
  channel->enter(Phase::end);
  pack_samples(dir_.fd);
  pack_crossings(dir_.fd);
  SampleCounts counts = count_samples(dir_.fd);
  Line line("end");
  channel->send(line.number("warmup_samples", counts.warmup).number("steady_samples", counts.steady));
  return 0;
}

}  // namespace edgebench
