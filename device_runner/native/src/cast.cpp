#include "cast.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "adapters.h"

namespace edgebench {

namespace {

// An element on its way: every integer type fits an int64, every real one a double.
struct Element {
  bool whole;
  int64_t integer;
  double real;
};

template <typename T>
T at(const void* data, uint64_t index) {
  T value;
  memcpy(&value, static_cast<const char*>(data) + index * sizeof(T), sizeof value);
  return value;
}

template <typename T>
bool put(void* data, uint64_t index, T value) {
  memcpy(static_cast<char*>(data) + index * sizeof(T), &value, sizeof value);
  return true;
}

Element load(DType type, const void* data, uint64_t i) {
  switch (type) {
    case DType::float32: return {false, 0, at<float>(data, i)};
    case DType::float16: return {false, 0, float_from_half(at<uint16_t>(data, i))};
    case DType::int8: return {true, at<int8_t>(data, i), 0};
    case DType::uint8: return {true, at<uint8_t>(data, i), 0};
    case DType::int16: return {true, at<int16_t>(data, i), 0};
    case DType::int32: return {true, at<int32_t>(data, i), 0};
    case DType::int64: return {true, at<int64_t>(data, i), 0};
    case DType::boolean: return {true, at<uint8_t>(data, i) != 0 ? 1 : 0, 0};
    case DType::other: break;
  }
  return {true, 0, 0};
}

// Towards zero, as C and NumPy do; not-a-number and what is out of range do not fit.
template <typename T>
bool store_integer(void* data, uint64_t i, const Element& element) {
  if (element.whole) {
    if (element.integer < static_cast<int64_t>(std::numeric_limits<T>::min()) ||
        element.integer > static_cast<int64_t>(std::numeric_limits<T>::max()))
      return false;
    return put<T>(data, i, static_cast<T>(element.integer));
  }
  double towards_zero = trunc(element.real);
  // 2^63 is a double and does not fit an int64; for the narrower types the bound is exact.
  double low = static_cast<double>(std::numeric_limits<T>::min());
  double above = -low;
  if (std::numeric_limits<T>::min() == 0) above = static_cast<double>(std::numeric_limits<T>::max()) + 1;
  if (!(towards_zero >= low && towards_zero < above)) return false;
  return put<T>(data, i, static_cast<T>(towards_zero));
}

bool store_real(DType type, void* data, uint64_t i, const Element& element) {
  float value = element.whole ? static_cast<float>(element.integer) : static_cast<float>(element.real);
  if (type == DType::float32) return put<float>(data, i, value);
  uint16_t half = half_from_float(value);
  bool overflowed = (half & 0x7FFF) == 0x7C00 && std::isfinite(value);
  return !overflowed && put<uint16_t>(data, i, half);
}

bool store(DType type, void* data, uint64_t i, const Element& element) {
  switch (type) {
    case DType::float32:
    case DType::float16: return store_real(type, data, i, element);
    case DType::int8: return store_integer<int8_t>(data, i, element);
    case DType::uint8: return store_integer<uint8_t>(data, i, element);
    case DType::int16: return store_integer<int16_t>(data, i, element);
    case DType::int32: return store_integer<int32_t>(data, i, element);
    case DType::int64: return store_integer<int64_t>(data, i, element);
    case DType::boolean:
      return put<uint8_t>(data, i, (element.whole ? element.integer != 0 : element.real != 0) ? 1 : 0);
    case DType::other: break;
  }
  return false;
}

}  // namespace

bool cast(DType from, const void* source, DType to, void* target, uint64_t count, Failure* failure) {
  for (uint64_t i = 0; i < count; ++i) {
    Element element = load(from, source, i);
    if (store(to, target, i, element)) continue;
    double shown = element.whole ? static_cast<double>(element.integer) : element.real;
    return fail(failure, Code::plan_invalid, "cast: element %llu, %.17g, does not fit %s",
                static_cast<unsigned long long>(i), shown, dtype_name(to));
  }
  return true;
}

}  // namespace edgebench
