// Element types and shapes. Plain data: runtimes and plugins share them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgebench {

enum class DType : int { float32, float16, int8, uint8, int16, int32, int64, boolean, other };

constexpr int kMaxRank = 8;                    // LiteRT's limit; nothing on an edge device has more
constexpr uint64_t kMaxBytes = 1ull << 40;     // of one tensor; keeps every later sum far from overflow

struct Shape {
  int rank = 0;
  int64_t dims[kMaxRank] = {};
};

const char* dtype_name(DType type);
bool dtype_from_name(const char* name, DType* type);
size_t dtype_size(DType type);

// The number of elements, or false where a dimension is below one or the product is beyond kMaxBytes.
bool element_count(const Shape& shape, uint64_t* count);
bool byte_count(const Shape& shape, DType type, uint64_t* bytes);
bool same_shape(const Shape& a, const Shape& b);

// "[1, 3, -1]", for messages.
struct ShapeText {
  explicit ShapeText(const Shape& shape);
  char text[200];
};

}  // namespace edgebench
