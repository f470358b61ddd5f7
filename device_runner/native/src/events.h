// Events: one JSON object a line.
#pragma once

#include <cstdint>
#include <string>

#include "failure.h"
#include "tensor.h"

namespace edgebench {

// Builds one object, member by member. Text is escaped and made valid UTF-8, wherever it came from.
class Line {
 public:
  explicit Line(const char* event);
  Line& text(const char* key, const char* value);  // null is written as null
  Line& number(const char* key, uint64_t value);
  Line& integer(const char* key, int64_t value);
  Line& flag(const char* key, bool value);
  Line& null(const char* key);
  Line& shape(const char* key, const Shape& shape);
  Line& raw(const char* key, const std::string& json);  // already JSON
  std::string str() const { return body_ + "}"; }

 private:
  void key(const char* name);
  std::string body_;
};

std::string json_string(const char* text);
std::string error_line(const Failure& failure, const char* phase, int signal);

// Writes the line and its newline with one call where the system lets; false when nobody reads any more.
bool write_line(int fd, const std::string& line);

}  // namespace edgebench
