// Work done in a child process, and the line it has to the supervisor.
#pragma once

#include <atomic>

#include "events.h"
#include "failure.h"

namespace edgebench {

enum class Phase : int { plan, hello, load, adapters, first, warmup, steady, output, rusage, end, describe, serving, link };

const char* phase_name(Phase phase);

// In memory shared with the supervisor, so that it knows where a worker was when it died.
struct Shared {
  std::atomic<int> phase{0};
  std::atomic<int> cold_load{0};  // the process of the worker's that does the cold load, 0 for none
};

class Channel {
 public:
  Channel(int fd, Shared* shared) : fd_(fd), shared_(shared) {}
  void enter(Phase phase) { shared_->phase.store(static_cast<int>(phase)); }
  void send(const Line& line) { write_line(fd_, line.str()); }
  void set_cold_load(int pid) { shared_->cold_load.store(pid); }
  // Reports the failure as the last line and gives the exit code that belongs to it.
  int failed(const Failure& failure) {
    write_line(fd_, error_line(failure, phase_name(static_cast<Phase>(shared_->phase.load())), 0));
    return exit_code(failure.code);
  }

 private:
  int fd_;
  Shared* shared_;
};

class Job {
 public:
  // Runs in the child; what it returns is the child's exit code.
  virtual int run(Channel* channel) = 0;

 protected:
  ~Job() = default;
};

}  // namespace edgebench
