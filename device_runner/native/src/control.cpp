#include "control.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "crossings.h"
#include "events.h"
#include "json.h"
#include "samples.h"

namespace edgebench {

namespace {

constexpr char kPidName[] = "runner.pid";
constexpr char kEventsName[] = "events.jsonl";
constexpr char kStderrName[] = "stderr.txt";

struct flock whole_file(short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

int open_regular_at(int dir_fd, const char* name, int flags) {
  int fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
  struct stat info;
  if (fd >= 0 && (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))) {
    close(fd);
    return -1;
  }
  return fd;
}

// The process that has claimed the directory, 0 for none.
pid_t owner(int dir_fd) {
  int fd = open_regular_at(dir_fd, kPidName, O_RDWR);
  if (fd < 0) return 0;
  struct flock lock = whole_file(F_WRLCK);
  pid_t pid = 0;
  if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) pid = lock.l_pid;
  close(fd);
  return pid;
}

struct Tail {
  std::string phase = "none";
  bool done = false;
  bool cut = false;  // the last line is not whole
  uint64_t bytes = 0;
};

// The phase a run is in follows from the last event that ended one.
const char* phase_after(const std::string& event) {
  static const char* const kNext[][2] = {{"hello", "load"},    {"load", "adapters"}, {"adapters", "first"},
                                         {"first", "warmup"},  {"warmup", "steady"}, {"steady", "output"},
                                         {"output", "output"}, {"rusage", "rusage"}, {"end", "end"},
                                         {"error", "error"},   {"serving", "serving"}};
  for (const auto& row : kNext)
    if (event == row[0]) return row[1];
  return nullptr;
}

Tail read_tail(int dir_fd) {
  Tail tail;
  int fd = open_regular_at(dir_fd, kEventsName, O_RDONLY);
  if (fd < 0) return tail;
  tail.phase = "hello";
  struct stat info;
  std::string text;
  if (fstat(fd, &info) == 0) tail.bytes = static_cast<uint64_t>(info.st_size);
  // A long run has many progress lines: the end of the file is enough, events are short.
  constexpr uint64_t kEnough = 4u << 20;
  if (tail.bytes > kEnough) lseek(fd, static_cast<off_t>(tail.bytes - kEnough), SEEK_SET);
  read_all(fd, 2 * kEnough, &text);
  close(fd);
  tail.cut = !text.empty() && text.back() != '\n';
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    Json json;
    std::string error;
    if (!parse_json(text.data() + at, end - at, &json, &error)) continue;
    const Json* event = json.get("event");
    const char* phase = event == nullptr ? nullptr : phase_after(event->string);
    if (phase != nullptr) tail.phase = phase;
  }
  tail.done = tail.phase == "end" || tail.phase == "error";
  return tail;
}

void print_status(const Directory& dir) {
  // First whether it is alive, then what it wrote: a run that ends in between is then told to be alive once more.
  bool alive = owner(dir.fd) != 0;
  Tail tail = read_tail(dir.fd);
  SampleCounts counts = count_samples(dir.fd);
  Line line("status");
  line.flag("alive", alive).text("phase", tail.phase.c_str()).number("warmup_samples", counts.warmup);
  line.number("steady_samples", counts.steady).number("events_bytes", tail.bytes);
  write_line(STDOUT_FILENO, line.str());
}

bool gone_within(const Directory& dir, int64_t milliseconds) {
  int64_t until = now_ns() + milliseconds * 1000000;
  timespec pause = {0, 20000000};
  while (owner(dir.fd) != 0) {
    if (now_ns() > until) return false;
    nanosleep(&pause, nullptr);
  }
  return true;
}

void signal_run(pid_t pid, int signal) {
  if (getpgid(pid) == pid) kill(-pid, signal);
  else kill(pid, signal);  // in the foreground the group is somebody else's
}

// What our caller had open would keep its connection waiting for us.
void close_inherited(int keep, int also) {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return;
  std::vector<int> open;
  while (dirent* entry = readdir(directory)) {
    int fd = atoi(entry->d_name);
    if (fd > 2 && fd != keep && fd != also && fd != dirfd(directory)) open.push_back(fd);
  }
  closedir(directory);
  for (int fd : open) close(fd);
}

}  // namespace

bool claim(const Directory& dir, int* lock_fd, Failure* failure) {
  int fd = open_regular_at(dir.fd, kPidName, O_RDWR | O_CREAT);
  if (fd < 0) return fail(failure, Code::output_failed, "%s: %s", kPidName, strerror(errno));
  struct flock lock = whole_file(F_WRLCK);
  if (fcntl(fd, F_SETLK, &lock) != 0) {
    close(fd);
    return fail(failure, Code::busy, "a run is under way in this directory");
  }
  std::string text = std::to_string(getpid()) + "\n";
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text.data(), text.size(), 0) < 0) {
    close(fd);
    return fail(failure, Code::output_failed, "%s: %s", kPidName, strerror(errno));
  }
  unlinkat(dir.fd, kSamplesName, 0);  // an earlier run's samples are not this one's
  unlinkat(dir.fd, kCrossingsName, 0);
  *lock_fd = fd;
  return true;
}

bool detach(const Directory& dir, pid_t* child, Failure* failure) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(failure, Code::internal, "pipe: %s", strerror(errno));
  *child = fork();
  if (*child < 0) return fail(failure, Code::internal, "fork: %s", strerror(errno));
  if (*child == 0) {
    close(ends[0]);
    setsid();
    Failure problem;
    int lock = -1, events = -1, errors = -1;
    bool ready = claim(dir, &lock, &problem) && create_file(dir.fd, kEventsName, &events, &problem) &&
                 create_file(dir.fd, kStderrName, &errors, &problem);
    // The whole struct goes through: plain data, and far below what a pipe takes at once.
    if (write(ends[1], &problem, sizeof problem) != sizeof problem || !ready) _exit(exit_code(problem.code));
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, 0);
    dup2(events, 1);
    dup2(errors, 2);
    close_inherited(dir.fd, lock);
    return true;
  }
  close(ends[1]);
  Failure answer;
  bool heard = read(ends[0], &answer, sizeof answer) == static_cast<ssize_t>(sizeof answer);
  close(ends[0]);
  if (!heard) return fail(failure, Code::internal, "the detached process did not start");
  if (answer.code == Code::none) return true;
  waitpid(*child, nullptr, 0);
  *failure = answer;
  return false;
}

int poll_command(const char* path) {
  Directory dir;
  Failure failure;
  if (!open_directory(path, Code::plan_missing, &dir, &failure)) {
    write_line(STDOUT_FILENO, error_line(failure, "poll", 0));
    return exit_code(failure.code);
  }
  print_status(dir);
  return 0;
}

int cancel_command(const char* path) {
  Directory dir;
  Failure failure;
  if (!open_directory(path, Code::plan_missing, &dir, &failure)) {
    write_line(STDOUT_FILENO, error_line(failure, "cancel", 0));
    return exit_code(failure.code);
  }
  pid_t pid = owner(dir.fd);
  if (pid > 1) {
    signal_run(pid, SIGTERM);
    if (!gone_within(dir, 2000)) {
      signal_run(pid, SIGKILL);
      gone_within(dir, 2000);
      // It could not say so itself, and the last line is always an `end` or an `error`.
      Tail tail = read_tail(dir.fd);
      int events = open_regular_at(dir.fd, kEventsName, O_WRONLY | O_APPEND);
      fail(&failure, Code::cancelled, "killed: it did not end on its own");
      if (events >= 0 && !tail.done)
        write_line(events, (tail.cut ? "\n" : "") + error_line(failure, tail.phase.c_str(), 0));
      if (events >= 0) close(events);
    }
  }
  print_status(dir);
  return 0;
}

}  // namespace edgebench
