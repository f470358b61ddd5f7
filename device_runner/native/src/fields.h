// Reads the members of a JSON object strictly: the right type, in range, and no key that is not known.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "failure.h"
#include "json.h"
#include "tensor.h"

namespace edgebench {

class Fields {
 public:
  // `where` names the object in messages, as "inputs[0]"; empty for the plan itself.
  Fields(const Json& object, std::string where, Failure* failure)
      : object_(object), where_(std::move(where)), failure_(failure) {}

  // The value is an object and has only these keys.
  bool only(std::initializer_list<const char*> keys);
  // Absent, or null where `nullable`.
  bool absent(const char* key) const;

  // Each is false, with the failure filled in, where the member is missing or wrong.
  bool text(const char* key, size_t max, std::string* out);
  bool whole(const char* key, int64_t low, int64_t high, int64_t* out);
  bool count(const char* key, uint64_t high, uint64_t* out);
  bool real(const char* key, double low, double high, double* out);
  bool flag(const char* key, bool* out);
  bool dtype(const char* key, DType* out);
  bool dims(const char* key, int64_t low, int64_t high, Shape* out);
  bool list(const char* key, size_t max, const Json** out);

  std::string path(const char* key) const { return where_.empty() ? key : where_ + "." + key; }
  bool wrong(const char* key, const char* what);

 private:
  const Json& object_;
  std::string where_;
  Failure* failure_;
};

}  // namespace edgebench
