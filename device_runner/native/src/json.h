// A small strict JSON reader: RFC 8259 without extensions, valid UTF-8 only, no duplicate keys, and limits on
// size, depth and the number of values, because a plan may come from anywhere.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace edgebench {

struct Json {
  enum class Type { null, boolean, integer, real, string, array, object };
  Type type = Type::null;
  bool boolean = false;
  int64_t integer = 0;
  double real = 0;  // also set for an integer
  std::string string;
  std::vector<Json> items;
  std::vector<std::pair<std::string, Json>> members;

  const Json* get(const char* key) const;
  bool is(Type wanted) const { return type == wanted; }
  bool is_number() const { return type == Type::integer || type == Type::real; }
};

constexpr size_t kMaxJsonBytes = 4u << 20;

// On failure `error` says what and at which byte.
bool parse_json(const char* text, size_t length, Json* out, std::string* error);

}  // namespace edgebench
