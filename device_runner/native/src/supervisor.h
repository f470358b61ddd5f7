// Runs a job in a child process, forwards its lines, keeps it within its limits and reports its death.
#pragma once

#include <poll.h>

#include <cstdint>
#include <string>

#include "job.h"
#include "json.h"

namespace edgebench {

struct Limits {
  double seconds;
  uint64_t memory_kb;
};

// Where complete lines go.
class Sink {
 public:
  // False when nobody reads any more: the job is then cancelled.
  virtual bool line(const std::string& text, const Json& json) = 0;
  // Whether a line would be taken at once. What can be done without is left out while it would not.
  virtual bool ready() { return true; }

 protected:
  ~Sink() = default;
};

class FdSink : public Sink {
 public:
  explicit FdSink(int fd) : fd_(fd) {}
  bool line(const std::string& text, const Json&) override { return write_line(fd_, text); }
  bool ready() override {
    pollfd events = {fd_, POLLOUT, 0};
    return poll(&events, 1, 0) == 1;
  }

 private:
  int fd_;
};

// The exit code of the protocol. `samples_dir` is where the sample file is, for `progress` lines; -1 for none.
// `first` is the phase a worker is in before it says otherwise.
int supervise(Job* job, const Limits& limits, Sink* sink, int samples_dir, Phase first);

}  // namespace edgebench
