#include "fields.h"

#include <cstring>

namespace edgebench {

bool Fields::wrong(const char* key, const char* what) {
  return fail(failure_, Code::plan_invalid, "%s: %s", path(key).c_str(), what);
}

bool Fields::only(std::initializer_list<const char*> keys) {
  if (!object_.is(Json::Type::object))
    return fail(failure_, Code::plan_invalid, "%s is not an object", where_.empty() ? "the plan" : where_.c_str());
  for (const auto& member : object_.members) {
    bool known = false;
    for (const char* key : keys) known = known || member.first == key;
    if (!known) return wrong(member.first.c_str(), "unknown key");
  }
  return true;
}

bool Fields::absent(const char* key) const {
  const Json* value = object_.get(key);
  return value == nullptr || value->is(Json::Type::null);
}

bool Fields::text(const char* key, size_t max, std::string* out) {
  const Json* value = object_.get(key);
  if (value == nullptr || !value->is(Json::Type::string)) return wrong(key, "a string is needed");
  if (value->string.empty() || value->string.size() > max) return wrong(key, "empty or too long");
  if (value->string.find('\0') != std::string::npos) return wrong(key, "contains a NUL");
  *out = value->string;
  return true;
}

bool Fields::whole(const char* key, int64_t low, int64_t high, int64_t* out) {
  const Json* value = object_.get(key);
  if (value == nullptr || !value->is(Json::Type::integer)) return wrong(key, "an integer is needed");
  if (value->integer < low || value->integer > high)
    return fail(failure_, Code::plan_invalid, "%s: %lld is not between %lld and %lld", path(key).c_str(),
                static_cast<long long>(value->integer), static_cast<long long>(low), static_cast<long long>(high));
  *out = value->integer;
  return true;
}

bool Fields::count(const char* key, uint64_t high, uint64_t* out) {
  int64_t value = 0;
  if (!whole(key, 0, static_cast<int64_t>(high), &value)) return false;
  *out = static_cast<uint64_t>(value);
  return true;
}

bool Fields::real(const char* key, double low, double high, double* out) {
  const Json* value = object_.get(key);
  if (value == nullptr || !value->is_number()) return wrong(key, "a number is needed");
  if (!(value->real >= low && value->real <= high)) return wrong(key, "out of range");
  *out = value->real;
  return true;
}

bool Fields::flag(const char* key, bool* out) {
  const Json* value = object_.get(key);
  if (value == nullptr || !value->is(Json::Type::boolean)) return wrong(key, "true or false is needed");
  *out = value->boolean;
  return true;
}

bool Fields::dtype(const char* key, DType* out) {
  std::string name;
  if (!text(key, 32, &name)) return false;
  if (!dtype_from_name(name.c_str(), out))
    return fail(failure_, Code::unsupported_dtype, "%s: %s", path(key).c_str(), name.c_str());
  return true;
}

bool Fields::list(const char* key, size_t max, const Json** out) {
  const Json* value = object_.get(key);
  if (value == nullptr || !value->is(Json::Type::array)) return wrong(key, "a list is needed");
  if (value->items.size() > max) return wrong(key, "too long");
  *out = value;
  return true;
}

bool Fields::dims(const char* key, int64_t low, int64_t high, Shape* out) {
  const Json* value = nullptr;
  if (!list(key, kMaxRank, &value)) return false;
  out->rank = static_cast<int>(value->items.size());
  for (int i = 0; i < out->rank; ++i) {
    const Json& item = value->items[static_cast<size_t>(i)];
    if (!item.is(Json::Type::integer) || item.integer < low || item.integer > high)
      return wrong(key, "an entry is not an integer or out of range");
    out->dims[i] = item.integer;
  }
  return true;
}

}  // namespace edgebench
