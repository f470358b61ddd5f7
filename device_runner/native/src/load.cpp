#include "load.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "page_cache.h"
#include "samples.h"

namespace edgebench {

namespace {

// The time of a load in a child process; 0 with `reason` where there is none.
int64_t load_in_child(Channel* channel, Pipeline* pipeline, char* reason, size_t size) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    snprintf(reason, size, "pipe: %s", strerror(errno));
    return 0;
  }
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    Failure failure;
    int64_t start = now_ns();
    if (!pipeline->load(&failure)) _exit(1);
    int64_t elapsed = now_ns() - start;
    _exit(write(ends[1], &elapsed, sizeof elapsed) == sizeof elapsed ? 0 : 1);
  }
  close(ends[1]);
  int64_t elapsed = 0;
  if (child < 0) {
    snprintf(reason, size, "fork: %s", strerror(errno));
  } else {
    channel->set_cold_load(child);
    if (read(ends[0], &elapsed, sizeof elapsed) != sizeof elapsed) elapsed = 0;
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    channel->set_cold_load(0);
    if (elapsed <= 0) snprintf(reason, size, "the cold load failed");
  }
  close(ends[0]);
  return elapsed;
}

bool drop_all(const Pipeline& pipeline, char* reason, size_t size) {
  for (const OpenFile& model : pipeline.models())
    if (!drop_cached(model.fd, model.bytes, reason, size)) return false;
  return true;
}

}  // namespace

bool timed_load(Channel* channel, Pipeline* pipeline, const char* not_cold, Failure* failure) {
  if (pipeline->models().empty()) {
    Line line("load");
    channel->send(line.null("load_cold_ns").text("cold_reason", "every stage is on the far side").null("load_warm_ns")
                      .number("model_bytes", 0));
    return true;
  }
  char reason[200] = "";
  int64_t cold_ns = 0;
  if (not_cold != nullptr) snprintf(reason, sizeof reason, "%s", not_cold);
  else if (drop_all(*pipeline, reason, sizeof reason)) cold_ns = load_in_child(channel, pipeline, reason, sizeof reason);
  uint64_t bytes = 0;
  for (const OpenFile& model : pipeline->models()) {
    fill_cache(model.fd, model.bytes);
    bytes += model.bytes;
  }
  int64_t start = now_ns();
  if (!pipeline->load(failure)) return false;
  int64_t warm_ns = now_ns() - start;
  Line line("load");
  if (cold_ns > 0) line.integer("load_cold_ns", cold_ns);
  else line.null("load_cold_ns").text("cold_reason", reason);
  channel->send(line.integer("load_warm_ns", warm_ns).number("model_bytes", bytes));
  return true;
}

}  // namespace edgebench
