#include "process.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

namespace edgebench {

namespace {

// A short file of /proc, without allocating.
bool read_proc(const char* path, char* buffer, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = read(fd, buffer, size - 1);
  close(fd);
  buffer[n > 0 ? n : 0] = '\0';
  return n > 0;
}

uint64_t milliseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1000 + static_cast<uint64_t>(time.tv_usec) / 1000;
}

}  // namespace

uint64_t resident_kb(pid_t pid) {
  char text[256];
  std::string path = "/proc/" + std::to_string(pid) + "/statm";
  if (!read_proc(path.c_str(), text, sizeof text)) return 0;
  char* end = nullptr;
  strtoull(text, &end, 10);  // the whole size comes first
  return strtoull(end, nullptr, 10) * (static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / 1024);
}

uint64_t peak_resident_kb() {
  char text[4096];
  if (read_proc("/proc/self/status", text, sizeof text)) {
    const char* line = strstr(text, "VmHWM:");
    if (line != nullptr) return strtoull(line + 6, nullptr, 10);
  }
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss);
}

Line usage_line(const rusage& usage, uint64_t peak_kb) {
  Line line("rusage");
  line.number("peak_rss_kb", peak_kb).number("user_ms", milliseconds(usage.ru_utime));
  line.number("system_ms", milliseconds(usage.ru_stime));
  line.number("voluntary_switches", static_cast<uint64_t>(usage.ru_nvcsw));
  line.number("involuntary_switches", static_cast<uint64_t>(usage.ru_nivcsw));
  return line;
}

}  // namespace edgebench
