#include "process.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
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

// A field of /proc/self/status in kB; 0 where it is not there.
uint64_t field_kb(const char* status, const char* field) {
  const char* line = strstr(status, field);
  return line == nullptr ? 0 : strtoull(line + strlen(field), nullptr, 10);
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

bool has_ended(pid_t pid) {
  char text[512];
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  if (!read_proc(path.c_str(), text, sizeof text)) return kill(pid, 0) != 0 && errno == ESRCH;
  const char* name_end = strrchr(text, ')');  // a name may have brackets of its own
  return name_end != nullptr && name_end[1] == ' ' && (name_end[2] == 'Z' || name_end[2] == 'X');
}

uint64_t peak_resident_kb() {
  char text[4096];
  if (read_proc("/proc/self/status", text, sizeof text)) {
    const uint64_t peak = field_kb(text, "VmHWM:");
    if (peak > 0) return peak;
  }
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss);
}

Line memory_line(const char* at) {
  char text[4096];
  if (!read_proc("/proc/self/status", text, sizeof text)) text[0] = '\0';
  Line line("memory");
  line.text("at", at).number("rss_kb", field_kb(text, "VmRSS:")).number("peak_rss_kb", peak_resident_kb());
  line.number("anonymous_kb", field_kb(text, "RssAnon:")).number("file_kb", field_kb(text, "RssFile:"));
  return line;
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
