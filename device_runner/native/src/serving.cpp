#include "serving.h"

#include <sys/resource.h>

#include "affinity.h"
#include "answering.h"
#include "listener.h"
#include "load.h"
#include "pipeline.h"
#include "process.h"
#include "worker.h"

namespace edgebench {

namespace {

bool load_here(Channel* channel, const Plan& plan, const Directory& dir, const std::string& lib_dir, Pipeline* pipeline,
               Failure* failure) {
  if (!pipeline->open_files(plan, dir, failure)) return false;
  const int threads_before = thread_count();
  const bool opened = pipeline->open_library(lib_dir.c_str(), failure);
  say_hello(channel, plan, opened ? runtime_version(pipeline->runtime(), plan.runtime.c_str(), lib_dir) : "");
  if (!opened) return false;
  channel->enter(Phase::load);
  const char* not_cold = !plan.load_cold                     ? "not asked for"
                         : thread_count() != threads_before ? "the library started threads when it was opened"
                                                            : nullptr;
  if (!timed_load(channel, pipeline, not_cold, failure)) return false;
  spread_threads(plan.affinity, plan.threads);
  return pipeline->bind(failure);
}

}  // namespace

bool ServeJob::steps(Channel* channel, Failure* failure) {
  if (!confine(plan_.affinity, failure)) return false;
  channel->enter(Phase::hello);
  Pipeline pipeline;
  if (plan_.stages.empty()) say_hello(channel, plan_, "");
  else if (!load_here(channel, plan_, dir_, lib_dir_, &pipeline, failure)) return false;

  channel->enter(Phase::serving);
  Answering answering(plan_, digest_, &pipeline);
  Listener listener(plan_.serve, digest_, token_, channel);
  listener.welcome_with(answering.signature());
  if (!listener.open(&address_, failure)) return false;
  Line line("serving");
  line.text("host", address_.host.c_str()).number("port", address_.port).text("plan_sha256", hex(digest_).c_str());
  line.number("inputs", answering.signature().inputs.size());
  channel->send(line.number("outputs", answering.signature().outputs.size()));
  for (int fd; (fd = listener.wait()) >= 0;) {
    Failure problem;
    switch (answering.frame(fd, &problem)) {
      case Answering::Outcome::served: listener.served(); break;
      case Answering::Outcome::left: listener.leave("left", Failure()); break;
      case Answering::Outcome::broken: listener.leave("dropped", problem); break;
    }
  }
  return true;
}

int ServeJob::run(Channel* channel) {
  Failure failure;
  if (!steps(channel, &failure)) return channel->failed(failure);
  channel->enter(Phase::rusage);
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  channel->send(usage_line(usage, peak_resident_kb()));
  channel->enter(Phase::end);
  channel->send(Line("end").number("warmup_samples", 0).number("steady_samples", 0));
  return 0;
}

}  // namespace edgebench
