// SHA-256 (FIPS 180-4), for the digest of a plan: a few kilobytes, once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace edgebench {

struct Digest {
  uint8_t bytes[32] = {};
};

Digest sha256(const void* data, size_t size);
std::string hex(const Digest& digest);
// 64 characters of 0-9a-f.
bool digest_from_hex(const std::string& text, Digest* out);

}  // namespace edgebench
