// The frames between a near and a far side, as docs/runner-protocol.md lays them out. Bytes alone: no socket here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "failure.h"
#include "sha256.h"
#include "tensor.h"

namespace edgebench {

enum class Frame : uint16_t {
  hello = 1,
  welcome,
  infer,
  answer,
  echo,
  echoed,
  sink,
  sunk,
  source,
  sourced,
  error,
  bye,
};

constexpr size_t kHeaderBytes = 48;
constexpr size_t kSessionBytes = 16;
constexpr size_t kLeastToken = 16, kMostToken = 128;
constexpr size_t kMostTensors = 64;
constexpr size_t kMostHello = kSessionBytes + kMostToken;
constexpr size_t kMostEcho = 65536;
constexpr uint64_t kMostBulk = uint64_t{1} << 30;  // of one sink or source
constexpr size_t kMostErrorText = 1100;
constexpr size_t kTensorsHead = 24;
constexpr size_t kMostDescriptor = 16 + 8 * kMaxRank;
constexpr size_t kMostWelcome = 8 + 2 * kMostTensors * kMostDescriptor;

struct Header {
  Frame type;
  uint64_t length;
};

// One tensor as it travels.
struct Travelling {
  DType dtype = DType::other;
  Shape shape;
  uint64_t bytes = 0;
};

struct Signature {
  std::vector<Travelling> inputs;
  std::vector<Travelling> outputs;
};

void put_header(uint8_t out[kHeaderBytes], Frame type, uint64_t length, const Digest& plan);
// False for what is no frame of this version; the digest is the caller's to compare.
bool read_header(const uint8_t bytes[kHeaderBytes], Header* out, Digest* plan);

void put_u32(std::vector<uint8_t>* out, uint32_t value);
void put_u64(std::vector<uint8_t>* out, uint64_t value);
void store_u64(uint8_t* at, uint64_t value);
uint64_t load_u64(const uint8_t* at);
uint32_t load_u32(const uint8_t* at);

// The head of an `infer` or `answer` whose tensors are these: sequence and duration are zero, to be stored in place.
std::vector<uint8_t> tensors_head(const std::vector<Travelling>& tensors);
uint64_t data_bytes(const std::vector<Travelling>& tensors);

std::vector<uint8_t> put_welcome(const Signature& signature);
bool read_welcome(const std::vector<uint8_t>& body, Signature* out);

std::vector<uint8_t> put_error(const Failure& failure);
// What the other side said went wrong; `runtime_error` for what cannot be read.
void read_error(const std::vector<uint8_t>& body, Failure* out);

// Takes the same time wherever the two differ; a difference in length shows.
bool same_secret(const void* a, size_t a_bytes, const void* b, size_t b_bytes);

}  // namespace edgebench
