#include "tensor.h"

#include <cstdio>
#include <cstring>

namespace edgebench {

namespace {
struct TypeRow {
  DType type;
  const char* name;
  size_t size;
};
constexpr TypeRow kTypes[] = {
    {DType::float32, "float32", 4}, {DType::float16, "float16", 2}, {DType::int8, "int8", 1},
    {DType::uint8, "uint8", 1},     {DType::int16, "int16", 2},     {DType::int32, "int32", 4},
    {DType::int64, "int64", 8},     {DType::boolean, "bool", 1},
};
}  // namespace

const char* dtype_name(DType type) {
  for (const TypeRow& row : kTypes)
    if (row.type == type) return row.name;
  return "unsupported";
}

bool dtype_from_name(const char* name, DType* type) {
  for (const TypeRow& row : kTypes) {
    if (strcmp(row.name, name) == 0) {
      *type = row.type;
      return true;
    }
  }
  return false;
}

size_t dtype_size(DType type) {
  for (const TypeRow& row : kTypes)
    if (row.type == type) return row.size;
  return 0;
}

bool element_count(const Shape& shape, uint64_t* count) {
  uint64_t product = 1;
  for (int i = 0; i < shape.rank; ++i) {
    if (shape.dims[i] < 1) return false;
    if (__builtin_mul_overflow(product, static_cast<uint64_t>(shape.dims[i]), &product)) return false;
    if (product > kMaxBytes) return false;
  }
  *count = product;
  return true;
}

bool byte_count(const Shape& shape, DType type, uint64_t* bytes) {
  uint64_t count = 0;
  if (!element_count(shape, &count)) return false;
  *bytes = count * dtype_size(type);
  return dtype_size(type) != 0 && *bytes <= kMaxBytes;
}

bool same_shape(const Shape& a, const Shape& b) {
  return a.rank == b.rank && memcmp(a.dims, b.dims, sizeof(int64_t) * static_cast<size_t>(a.rank)) == 0;
}

ShapeText::ShapeText(const Shape& shape) {
  size_t used = 0;
  text[used++] = '[';
  for (int i = 0; i < shape.rank && used < sizeof text - 24; ++i)
    used += static_cast<size_t>(snprintf(text + used, sizeof text - used, i ? ", %lld" : "%lld",
                                         static_cast<long long>(shape.dims[i])));
  text[used++] = ']';
  text[used] = '\0';
}

}  // namespace edgebench
