#include "frame.h"

#include <algorithm>
#include <cstring>

namespace edgebench {

namespace {

constexpr uint8_t kMagic[4] = {'E', 'D', 'G', 'T'};
constexpr uint16_t kVersion = 1;

void put_descriptor(std::vector<uint8_t>* out, const Travelling& tensor) {
  out->push_back(static_cast<uint8_t>(tensor.dtype));
  out->push_back(static_cast<uint8_t>(tensor.shape.rank));
  for (int i = 0; i < 6; ++i) out->push_back(0);
  put_u64(out, tensor.bytes);
  for (int i = 0; i < tensor.shape.rank; ++i) put_u64(out, static_cast<uint64_t>(tensor.shape.dims[i]));
}

// One descriptor of a `welcome`; its end is the next one's start.
bool read_descriptor(const std::vector<uint8_t>& body, size_t* at, Travelling* out) {
  if (body.size() - *at < 16) return false;
  const uint8_t* bytes = body.data() + *at;
  if (bytes[0] >= static_cast<uint8_t>(DType::other) || bytes[1] > kMaxRank) return false;
  for (int i = 2; i < 8; ++i)
    if (bytes[i] != 0) return false;
  out->dtype = static_cast<DType>(bytes[0]);
  out->shape.rank = bytes[1];
  *at += 16;
  if (body.size() - *at < 8 * static_cast<size_t>(out->shape.rank)) return false;
  for (int i = 0; i < out->shape.rank; ++i, *at += 8)
    out->shape.dims[i] = static_cast<int64_t>(load_u64(body.data() + *at));
  return byte_count(out->shape, out->dtype, &out->bytes) && out->bytes == load_u64(bytes + 8);
}

}  // namespace

void store_u64(uint8_t* at, uint64_t value) {
  for (int i = 0; i < 8; ++i) at[i] = static_cast<uint8_t>(value >> (8 * i));
}

uint64_t load_u64(const uint8_t* at) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value |= static_cast<uint64_t>(at[i]) << (8 * i);
  return value;
}

uint32_t load_u32(const uint8_t* at) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= static_cast<uint32_t>(at[i]) << (8 * i);
  return value;
}

void put_u32(std::vector<uint8_t>* out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out->push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void put_u64(std::vector<uint8_t>* out, uint64_t value) {
  for (int i = 0; i < 8; ++i) out->push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void put_header(uint8_t out[kHeaderBytes], Frame type, uint64_t length, const Digest& plan) {
  memcpy(out, kMagic, 4);
  out[4] = kVersion;
  out[5] = 0;
  out[6] = static_cast<uint8_t>(type);
  out[7] = 0;
  store_u64(out + 8, length);
  memcpy(out + 16, plan.bytes, sizeof plan.bytes);
}

bool read_header(const uint8_t bytes[kHeaderBytes], Header* out, Digest* plan) {
  if (memcmp(bytes, kMagic, 4) != 0 || bytes[4] != kVersion || bytes[5] != 0 || bytes[7] != 0) return false;
  if (bytes[6] < static_cast<uint8_t>(Frame::hello) || bytes[6] > static_cast<uint8_t>(Frame::bye)) return false;
  out->type = static_cast<Frame>(bytes[6]);
  out->length = load_u64(bytes + 8);
  memcpy(plan->bytes, bytes + 16, sizeof plan->bytes);
  return true;
}

std::vector<uint8_t> tensors_head(const std::vector<Travelling>& tensors) {
  std::vector<uint8_t> head(16, 0);
  put_u32(&head, static_cast<uint32_t>(tensors.size()));
  put_u32(&head, 0);
  for (const Travelling& tensor : tensors) put_descriptor(&head, tensor);
  return head;
}

uint64_t data_bytes(const std::vector<Travelling>& tensors) {
  uint64_t sum = 0;
  for (const Travelling& tensor : tensors) sum += tensor.bytes;
  return sum;
}

std::vector<uint8_t> put_welcome(const Signature& signature) {
  std::vector<uint8_t> body;
  put_u32(&body, static_cast<uint32_t>(signature.inputs.size()));
  put_u32(&body, static_cast<uint32_t>(signature.outputs.size()));
  for (const auto* side : {&signature.inputs, &signature.outputs})
    for (const Travelling& tensor : *side) put_descriptor(&body, tensor);
  return body;
}

bool read_welcome(const std::vector<uint8_t>& body, Signature* out) {
  if (body.size() < 8) return false;
  const size_t inputs = load_u32(body.data()), outputs = load_u32(body.data() + 4);
  if (inputs > kMostTensors || outputs > kMostTensors) return false;
  size_t at = 8;
  for (size_t i = 0; i < inputs + outputs; ++i) {
    Travelling tensor;
    if (!read_descriptor(body, &at, &tensor)) return false;
    (i < inputs ? out->inputs : out->outputs).push_back(tensor);
  }
  return at == body.size();
}

std::vector<uint8_t> put_error(const Failure& failure) {
  std::string text = std::string(code_name(failure.code)) + "\n" + failure.message;
  text.resize(std::min(text.size(), kMostErrorText));
  return std::vector<uint8_t>(text.begin(), text.end());
}

void read_error(const std::vector<uint8_t>& body, Failure* out) {
  const std::string text(body.begin(), body.end());
  const size_t end = text.find('\n');
  Code code = end == std::string::npos ? Code::runtime_error : code_from_name(text.substr(0, end).c_str());
  if (code == Code::none || code == Code::link_lost) code = Code::runtime_error;
  const std::string message = end == std::string::npos ? text : text.substr(end + 1);
  fail(out, code, "the far side: %s", message.c_str());
}

bool same_secret(const void* a, size_t a_bytes, const void* b, size_t b_bytes) {
  if (a_bytes != b_bytes) return false;
  const volatile uint8_t* one = static_cast<const uint8_t*>(a);
  const volatile uint8_t* two = static_cast<const uint8_t*>(b);
  unsigned differs = 0;
  for (size_t i = 0; i < a_bytes; ++i) differs |= static_cast<unsigned>(one[i] ^ two[i]);
  return differs == 0;
}

}  // namespace edgebench
