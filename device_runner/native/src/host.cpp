#include "host.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "events.h"
#include "paths.h"

#ifndef EDGEBENCH_VERSION
#define EDGEBENCH_VERSION "0"
#endif

namespace edgebench {

namespace {

std::string read_cpuinfo() {
  std::string text;
  int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  read_all(fd, 1u << 20, &text);
  close(fd);
  return text;
}

// The value of the first line with this key: "model name : x" gives "x".
std::string field(const std::string& text, const char* key) {
  std::string wanted = key;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    std::string line = text.substr(at, end - at);
    at = end + 1;
    size_t colon = line.find(':');
    if (colon == std::string::npos || line.compare(0, wanted.size(), wanted) != 0) continue;
    if (line.find_first_not_of(" \t", wanted.size()) != colon) continue;
    size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

std::string cpu_model(const std::string& info) {
  for (const char* key : {"model name", "Hardware", "Model"}) {
    std::string value = field(info, key);
    if (!value.empty()) return value;
  }
  std::string implementer = field(info, "CPU implementer"), part = field(info, "CPU part");
  return implementer.empty() ? "unknown" : "implementer " + implementer + " part " + part;
}

// The instruction sets that decide which kernels a runtime picks.
std::vector<std::string> instruction_sets(const std::string& info) {
  std::vector<std::string> found;
#if defined(__aarch64__)
  (void)info;
  struct Bit {
    unsigned long type;
    int bit;
    const char* name;
  };
  static const Bit kBits[] = {{AT_HWCAP, 1, "asimd"},    {AT_HWCAP, 8, "atomics"}, {AT_HWCAP, 10, "fp16"},
                              {AT_HWCAP, 20, "dotprod"}, {AT_HWCAP, 22, "sve"},    {AT_HWCAP2, 1, "sve2"},
                              {AT_HWCAP2, 13, "i8mm"},   {AT_HWCAP2, 14, "bf16"},  {AT_HWCAP2, 23, "sme"}};
  for (const Bit& entry : kBits)
    if ((getauxval(entry.type) >> entry.bit) & 1) found.push_back(entry.name);
#else
  std::string flags = " " + field(info, "flags") + " ";
  for (const char* name : {"sse4_1", "sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw",
                           "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16"})
    if (flags.find(" " + std::string(name) + " ") != std::string::npos) found.push_back(name);
#endif
  return found;
}

}  // namespace

const char* abi_name() {
#if defined(__ANDROID__) && defined(__aarch64__)
  return "android-arm64";
#elif defined(__ANDROID__)
  return "android-x86_64";
#elif defined(__aarch64__)
  return "linux-aarch64";
#else
  return "linux-x86_64";
#endif
}

std::string build_json() {
#if defined(__clang__)
  std::string compiler = "clang " __clang_version__;
#else
  std::string compiler = "gcc " __VERSION__;
#endif
  return "{\"version\":" + json_string(EDGEBENCH_VERSION) + ",\"compiler\":" + json_string(compiler.c_str()) + "}";
}

std::string cpu_json() {
  std::string info = read_cpuinfo();
  std::string out = "{\"model\":" + json_string(cpu_model(info).c_str());
  out += ",\"logical\":" + std::to_string(sysconf(_SC_NPROCESSORS_ONLN)) + ",\"isa\":[";
  bool first = true;
  for (const std::string& name : instruction_sets(info)) {
    if (!first) out += ",";
    first = false;
    out += json_string(name.c_str());
  }
  return out + "]}";
}

}  // namespace edgebench
