#include "answering.h"

#include <algorithm>
#include <cstring>

#include "affinity.h"
#include "samples.h"
#include "socket.h"

namespace edgebench {

namespace {

constexpr size_t kVarying = 16;  // sequence number and duration, at the start of a head

}  // namespace

Answering::Answering(const Plan& plan, const Digest& digest, Pipeline* pipeline)
    : plan_(plan), digest_(digest), pipeline_(pipeline), scratch_(kHeaderBytes + kMostEcho) {
  for (const Bindings::Arriving& input : pipeline->arriving()) signature_.inputs.push_back(input.tensor);
  for (const Pipeline::Output& output : pipeline->outputs())
    signature_.outputs.push_back({output.plan->dtype, output.plan->shape, output.bytes});
  expected_ = tensors_head(signature_.inputs);
  head_.resize(expected_.size());
  const std::vector<uint8_t> head = tensors_head(signature_.outputs);
  answer_.resize(kHeaderBytes);
  put_header(answer_.data(), Frame::answer, head.size() + data_bytes(signature_.outputs), digest);
  answer_.insert(answer_.end(), head.begin(), head.end());
}

Answering::Outcome Answering::frame(int fd, Failure* failure) {
  uint8_t bytes[kHeaderBytes];
  Header header;
  Digest plan;
  if (!receive_bytes(fd, bytes, sizeof bytes, failure)) return Outcome::broken;
  if (!read_header(bytes, &header, &plan)) {
    fail(failure, Code::plan_invalid, "what came is no frame of this version");
    return Outcome::broken;
  }
  if (memcmp(plan.bytes, digest_.bytes, sizeof plan.bytes) != 0) {
    fail(failure, Code::denied, "a frame is for another plan");
    return Outcome::broken;
  }
  bool done = false;
  switch (header.type) {
    case Frame::infer: done = infer(fd, header.length, failure); break;
    case Frame::echo: done = echo(fd, header.length, failure); break;
    case Frame::sink: done = sink(fd, header.length, failure); break;
    case Frame::source: done = source(fd, header.length, failure); break;
    case Frame::bye: return Outcome::left;
    default: fail(failure, Code::plan_invalid, "a frame of type %d is not for a far side", static_cast<int>(header.type));
  }
  return done ? Outcome::served : Outcome::broken;
}

bool Answering::too_long(Failure* failure) const {
  return fail(failure, Code::plan_invalid, "a frame is not as long as one of its type can be");
}

bool Answering::infer(int fd, uint64_t length, Failure* failure) {
  if (plan_.stages.empty()) return fail(failure, Code::plan_invalid, "this far side has no model; it measures the link");
  if (length != expected_.size() + data_bytes(signature_.inputs))
    return fail(failure, Code::input_size, "a request has %llu bytes; with the plan's tensors it has %llu",
                static_cast<unsigned long long>(length),
                static_cast<unsigned long long>(expected_.size() + data_bytes(signature_.inputs)));
  // Head first: data that is not the plan's is not taken.
  if (!receive_bytes(fd, head_.data(), head_.size(), failure)) return false;
  if (memcmp(head_.data() + kVarying, expected_.data() + kVarying, head_.size() - kVarying) != 0)
    return fail(failure, Code::signature_mismatch, "a request's tensors are not of the plan's dtypes and shapes");
  iovec parts[kMostTensors + 1];
  int count = 0;
  for (const Bindings::Arriving& input : pipeline_->arriving())
    parts[count++] = {input.data, static_cast<size_t>(input.tensor.bytes)};
  if (!receive_parts(fd, parts, count, failure)) return false;

  const int64_t start = now_ns();
  if (!pipeline_->invoke(failure) || !pipeline_->fetch(failure) || !pipeline_->adapt_outputs(failure)) return false;
  const int64_t elapsed = std::max<int64_t>(now_ns() - start, 1);

  memcpy(answer_.data() + kHeaderBytes, head_.data(), 8);
  store_u64(answer_.data() + kHeaderBytes + 8, static_cast<uint64_t>(elapsed));
  count = 0;
  parts[count++] = {answer_.data(), answer_.size()};
  for (const Pipeline::Output& output : pipeline_->outputs())
    parts[count++] = {const_cast<void*>(output.data), static_cast<size_t>(output.bytes)};
  if (!send_parts(fd, parts, count, failure)) return false;
  if (first_) spread_threads(plan_.affinity, plan_.threads);  // a pool may be made only at the first call
  first_ = false;
  return true;
}

bool Answering::echo(int fd, uint64_t length, Failure* failure) {
  if (length > kMostEcho) return too_long(failure);
  put_header(scratch_.data(), Frame::echoed, length, digest_);
  return receive_bytes(fd, scratch_.data() + kHeaderBytes, length, failure) &&
         send_bytes(fd, scratch_.data(), kHeaderBytes + length, failure);
}

bool Answering::sink(int fd, uint64_t length, Failure* failure) {
  if (length > kMostBulk) return too_long(failure);
  int64_t elapsed = 0;
  if (!bulk_.take(fd, length, &elapsed, failure)) return false;
  uint8_t answer[kHeaderBytes + 16];
  put_header(answer, Frame::sunk, 16, digest_);
  store_u64(answer + kHeaderBytes, length);
  store_u64(answer + kHeaderBytes + 8, static_cast<uint64_t>(elapsed));
  return send_bytes(fd, answer, sizeof answer, failure);
}

bool Answering::source(int fd, uint64_t length, Failure* failure) {
  uint8_t wanted[8];
  if (length != sizeof wanted) return too_long(failure);
  if (!receive_bytes(fd, wanted, sizeof wanted, failure)) return false;
  const uint64_t bytes = load_u64(wanted);
  if (bytes > kMostBulk) return too_long(failure);
  uint8_t header[kHeaderBytes];
  put_header(header, Frame::sourced, bytes, digest_);
  return send_bytes(fd, header, sizeof header, failure) && bulk_.give(fd, bytes, failure);
}

}  // namespace edgebench
