#include "supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "crossings.h"
#include "lines.h"
#include "process.h"
#include "samples.h"

namespace edgebench {

namespace {

volatile sig_atomic_t cancel_signal = 0;

void on_cancel(int signal) { cancel_signal = signal; }
void on_child(int) {}  // only wakes the poll

constexpr int64_t kMillisecond = 1000000;

class Supervision {
 public:
  Supervision(const Limits& limits, Sink* sink, int samples_dir)
      : limits_(limits), sink_(sink), samples_dir_(samples_dir) {}

  int run(Job* job, Phase first);

 private:
  [[noreturn]] void child(Job* job, int events, pid_t supervisor);
  bool spawn(Job* job, Failure* failure);
  void forward();
  void progress(int64_t now);
  bool over_limit(int64_t now, Failure* failure);
  void kill_worker();
  int finish();
  int report(const Failure& failure, int signal);
  Phase phase() const { return static_cast<Phase>(shared_->phase.load()); }

  Limits limits_;
  Sink* sink_;
  int samples_dir_;
  Shared* shared_ = nullptr;
  sigset_t unblocked_;
  pid_t worker_ = -1;
  int pipe_ = -1;
  LineReader reader_;
  bool finished_ = false;  // the job's last line went by
  int64_t finished_at_ = 0;
  int final_code_ = 0;     // what that line stands for
  bool reader_gone_ = false;
  int status_ = 0;
  rusage usage_ = {};
  int64_t started_ = 0;
  int64_t next_progress_ = 0;
};

void Supervision::child(Job* job, int events, pid_t supervisor) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != supervisor) _exit(exit_code(Code::worker_died));  // it died before the line above
  // A signal to the whole group is the supervisor's to answer: it ends us, and knows why.
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
  ::signal(SIGCHLD, SIG_DFL);
  sigprocmask(SIG_SETMASK, &unblocked_, nullptr);
  rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  // When memory runs out, the kernel takes this process and not a shell or a server.
  int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (oom >= 0) {
    if (write(oom, "500", 3) < 0) errno = 0;
    close(oom);
  }
  // Runtimes print what they like; stdout is for events, and only through the pipe.
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) dup2(null, 0);
  dup2(2, 1);
  Channel channel(events, shared_);
  int code = job->run(&channel);
  fflush(nullptr);
  _exit(code);  // no destructors: a runtime's may crash when all is done
}

bool Supervision::spawn(Job* job, Failure* failure) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(failure, Code::internal, "pipe: %s", strerror(errno));
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  pid_t self = getpid();
  worker_ = fork();
  if (worker_ < 0) return fail(failure, Code::internal, "fork: %s", strerror(errno));
  if (worker_ == 0) {
    close(ends[0]);
    child(job, ends[1], self);
  }
  close(ends[1]);
  pipe_ = ends[0];
  return true;
}

void Supervision::forward() {
  std::string text;
  while (reader_.next(pipe_, &text)) {
    Json json;
    std::string error;
    const Json* event = nullptr;
    if (parse_json(text.data(), text.size(), &json, &error)) event = json.get("event");
    if (event == nullptr || finished_) {
      fprintf(stderr, "edgebench: dropped a line of the worker: %s\n", error.c_str());
      continue;
    }
    finished_ = event->string == "end" || event->string == "error" || event->string == "describe" ||
                event->string == "link" || event->string == "kernels";
    if (finished_) finished_at_ = now_ns();
    const Json* code = json.get("code");
    if (event->string == "error") final_code_ = exit_code(code_from_name(code ? code->string.c_str() : ""));
    reader_gone_ = !sink_->line(text, json) || reader_gone_;
  }
}

void Supervision::progress(int64_t now) {
  if (samples_dir_ < 0 || finished_ || now < next_progress_ || phase() == Phase::serving) return;
  if (!sink_->ready()) return;  // a reader that dawdles must not keep us from watching the limits
  next_progress_ = now + 1000 * kMillisecond;
  SampleCounts counts = count_samples(samples_dir_);
  Line line("progress");
  line.text("phase", phase_name(phase())).number("warmup_samples", counts.warmup);
  line.number("steady_samples", counts.steady).number("rss_kb", resident_kb(worker_));
  reader_gone_ = !sink_->line(line.str(), Json()) || reader_gone_;
}

bool Supervision::over_limit(int64_t now, Failure* failure) {
  if (static_cast<double>(now - started_) > limits_.seconds * 1e9)
    return !fail(failure, Code::time_limit, "not done after %g s", limits_.seconds);
  uint64_t used = resident_kb(worker_);
  pid_t cold_load = shared_->cold_load.load();
  if (cold_load > 0) used += resident_kb(cold_load);
  if (used > limits_.memory_kb)
    return !fail(failure, Code::memory_limit, "%llu MiB of memory used, %llu allowed",
                 static_cast<unsigned long long>(used >> 10),
                 static_cast<unsigned long long>(limits_.memory_kb >> 10));
  return false;
}

void Supervision::kill_worker() {
  pid_t cold_load = shared_->cold_load.load();
  if (cold_load > 1) kill(cold_load, SIGKILL);
  kill(worker_, SIGKILL);
  while (wait4(worker_, &status_, 0, &usage_) < 0 && errno == EINTR) {
  }
  forward();
}

int Supervision::report(const Failure& failure, int signal) {
  if (finished_) return final_code_;
  // The worker could not say what it used; the kernel can.
  if (worker_ > 0 && samples_dir_ >= 0)
    sink_->line(usage_line(usage_, static_cast<uint64_t>(usage_.ru_maxrss)).str(), Json());
  sink_->line(error_line(failure, phase_name(phase()), signal), Json());
  return exit_code(failure.code);
}

int Supervision::finish() {
  forward();
  if (finished_) return final_code_;
  Failure failure;
  int signal = WIFSIGNALED(status_) ? WTERMSIG(status_) : 0;
  if (signal != 0)
    fail(&failure, Code::worker_died, "the worker died of signal %d (%s)%s", signal, strsignal(signal),
         signal == SIGKILL ? "; the kernel sends it when memory runs out" : "");
  else
    fail(&failure, Code::worker_died, "the worker left with code %d before it was done", WEXITSTATUS(status_));
  return report(failure, signal);
}

int Supervision::run(Job* job, Phase first) {
  void* map = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  Failure failure;
  if (map == MAP_FAILED) return exit_code(Code::internal);
  shared_ = new (map) Shared;
  shared_->phase.store(static_cast<int>(first));

  // Signals arrive only inside ppoll, so none is lost between a look and a wait.
  sigset_t blocked;
  sigemptyset(&blocked);
  struct sigaction action = {};
  action.sa_handler = on_cancel;
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&blocked, signal);
    sigaction(signal, &action, nullptr);
  }
  sigaddset(&blocked, SIGCHLD);
  action.sa_handler = on_child;
  sigaction(SIGCHLD, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  sigprocmask(SIG_BLOCK, &blocked, &unblocked_);

  started_ = now_ns();
  next_progress_ = started_ + 1000 * kMillisecond;
  if (!spawn(job, &failure)) return report(failure, 0);
  int code = -1;
  while (code < 0) {
    // While samples are taken we look less often, to leave the CPU alone.
    bool measuring = phase() == Phase::warmup || phase() == Phase::steady;
    timespec wait = {0, (measuring ? 100 : 20) * kMillisecond};
    pollfd events = {pipe_, POLLIN, 0};
    sigset_t while_waiting = unblocked_;
    // A closed pipe is always ready: then wait for the child alone.
    ppoll(&events, reader_.closed() ? 0 : 1, &wait, &while_waiting);
    forward();
    int64_t now = now_ns();
    if (wait4(worker_, &status_, WNOHANG, &usage_) == worker_) {
      code = finish();
    } else if (finished_) {
      // It has said all it had to say; it is not to hang on its way out.
      if (now - finished_at_ < 2000 * kMillisecond) continue;
      kill_worker();
      code = final_code_;
    } else if (cancel_signal != 0 || reader_gone_) {
      kill_worker();
      fail(&failure, Code::cancelled, reader_gone_ ? "nobody reads the events any more" : "cancelled");
      code = report(failure, 0);
    } else if (over_limit(now, &failure)) {
      kill_worker();
      code = report(failure, 0);
    } else {
      progress(now);
    }
  }
  close(pipe_);
  if (samples_dir_ >= 0) {  // of a worker that could not
    pack_samples(samples_dir_);
    pack_crossings(samples_dir_);
  }
  sigprocmask(SIG_SETMASK, &unblocked_, nullptr);
  munmap(map, sizeof(Shared));
  return code;
}

}  // namespace

const char* phase_name(Phase phase) {
  static const char* const kNames[] = {"plan",   "hello",  "load",   "adapters", "first",   "warmup",
                                       "steady", "output", "rusage", "end",      "describe",
                                       "serving", "link"};
  size_t index = static_cast<size_t>(phase);
  return index < sizeof kNames / sizeof *kNames ? kNames[index] : "unknown";
}

int supervise(Job* job, const Limits& limits, Sink* sink, int samples_dir, Phase first) {
  return Supervision(limits, sink, samples_dir).run(job, first);
}

}  // namespace edgebench
