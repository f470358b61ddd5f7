// IEEE half precision by hand: not every compiler we build with has the type.
#include <cstdint>
#include <cstring>

#include "adapters.h"

namespace edgebench {

uint16_t half_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return static_cast<uint16_t>(sign | 0x7E00);   // not a number
  if (magnitude >= 0x477FF000) return static_cast<uint16_t>(sign | 0x7C00);  // rounds to infinity
  if (magnitude < 0x38800000) {  // subnormal or zero: adding a half of 2^-14 makes the processor round to even
    float shifted;
    memcpy(&shifted, &magnitude, sizeof shifted);
    shifted += 0.5f;
    uint32_t rounded;
    memcpy(&rounded, &shifted, sizeof rounded);
    return static_cast<uint16_t>(sign | (rounded - 0x3F000000));
  }
  uint32_t odd = (magnitude >> 13) & 1;
  magnitude += 0xC8000FFF + odd;  // rebias the exponent from 127 to 15 and round half to even
  return static_cast<uint16_t>(sign | (magnitude >> 13));
}

float float_from_half(uint16_t half) {
  uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  uint32_t exponent = (half >> 10) & 0x1F;
  uint32_t mantissa = half & 0x3FF;
  uint32_t bits = sign;
  if (exponent == 0x1F) {
    bits |= 0x7F800000 | (mantissa << 13);
  } else if (exponent != 0) {
    bits |= ((exponent + 112) << 23) | (mantissa << 13);
  } else if (mantissa != 0) {
    float value = static_cast<float>(mantissa) * (1.0f / 16777216.0f);  // mantissa * 2^-24
    uint32_t scaled;
    memcpy(&scaled, &value, sizeof scaled);
    bits |= scaled;
  }
  float out;
  memcpy(&out, &bits, sizeof out);
  return out;
}

}  // namespace edgebench
