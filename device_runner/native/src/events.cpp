#include "events.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "utf8.h"

namespace edgebench {

// ASCII only: readers that split lines at U+2028 or U+0085 exist, and terminals that obey U+009B.
std::string json_string(const char* text) {
  std::string out = "\"";
  size_t length = strlen(text);
  for (size_t at = 0; at < length;) {
    uint32_t code = 0xFFFD;
    size_t size = utf8_decode(text + at, length - at, &code);
    at += size == 0 ? 1 : size;
    if (code >= 0x20 && code < 0x7F) {
      if (code == '"' || code == '\\') out.push_back('\\');
      out.push_back(static_cast<char>(code));
      continue;
    }
    char escaped[16];
    if (code > 0xFFFF)
      snprintf(escaped, sizeof escaped, "\\u%04x\\u%04x", 0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF));
    else
      snprintf(escaped, sizeof escaped, "\\u%04x", code);
    out += escaped;
  }
  return out + "\"";
}

Line::Line(const char* event) : body_("{\"event\":" + json_string(event)) {}

void Line::key(const char* name) { body_ += "," + json_string(name) + ":"; }

Line& Line::text(const char* name, const char* value) {
  key(name);
  body_ += value == nullptr ? std::string("null") : json_string(value);
  return *this;
}

Line& Line::number(const char* name, uint64_t value) {
  key(name);
  body_ += std::to_string(value);
  return *this;
}

Line& Line::integer(const char* name, int64_t value) {
  key(name);
  body_ += std::to_string(value);
  return *this;
}

Line& Line::flag(const char* name, bool value) {
  key(name);
  body_ += value ? "true" : "false";
  return *this;
}

Line& Line::null(const char* name) {
  key(name);
  body_ += "null";
  return *this;
}

Line& Line::shape(const char* name, const Shape& shape) {
  key(name);
  body_ += ShapeText(shape).text;
  return *this;
}

Line& Line::raw(const char* name, const std::string& json) {
  key(name);
  body_ += json;
  return *this;
}

std::string error_line(const Failure& failure, const char* phase, int signal) {
  Line line("error");
  line.text("code", code_name(failure.code)).text("phase", phase).text("message", failure.message);
  if (signal != 0) line.integer("signal", signal);
  return line.str();
}

bool write_line(int fd, const std::string& line) {
  std::string whole = line + "\n";
  size_t written = 0;
  while (written < whole.size()) {
    ssize_t n = write(fd, whole.data() + written, whole.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    written += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace edgebench
