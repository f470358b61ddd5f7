#include "far_stage.h"

#include <cstring>

#include "samples.h"

namespace edgebench {

namespace {

constexpr size_t kVarying = 16;  // sequence number and duration, at the start of a head

}  // namespace

bool FarStage::open(const char*, Failure* failure) { return link_.open(plan_, token_, failure); }

bool FarStage::supports(const char*) { return true; }

bool FarStage::load(const LoadRequest&, Failure*) { return true; }

bool FarStage::fetch(Failure*) { return true; }

const char* FarStage::profile(ProfileSink*) { return "the stage is on the far side"; }

bool FarStage::info(Side side, size_t index, TensorInfo* info, Failure*) {
  const Travelling& tensor = tensors(side)[index];
  *info = TensorInfo();
  info->dtype = tensor.dtype;
  info->shape = tensor.shape;
  return true;
}

bool FarStage::bind(const Bound* inputs, const Bound* outputs, Failure*) {
  const Signature& signature = link_.signature();
  const std::vector<uint8_t> head = tensors_head(signature.inputs);
  request_.resize(kHeaderBytes);
  put_header(request_.data(), Frame::infer, head.size() + data_bytes(signature.inputs), plan_.plan);
  request_.insert(request_.end(), head.begin(), head.end());
  expected_ = tensors_head(signature.outputs);
  head_.resize(expected_.size());
  out_.push_back({request_.data(), request_.size()});
  for (size_t i = 0; i < signature.inputs.size(); ++i) out_.push_back({inputs[i].data, inputs[i].bytes});
  in_.push_back({head_.data(), head_.size()});
  for (size_t i = 0; i < signature.outputs.size(); ++i) in_.push_back({outputs[i].data, outputs[i].bytes});
  out_now_.resize(out_.size());
  in_now_.resize(in_.size());
  return true;
}

bool FarStage::invoke(Failure* failure) {
  store_u64(request_.data() + kHeaderBytes, ++sequence_);
  // Sending uses the lists up: copies, in room that is there already.
  memcpy(out_now_.data(), out_.data(), out_.size() * sizeof(iovec));
  memcpy(in_now_.data(), in_.data(), in_.size() * sizeof(iovec));
  crossed_.sent_ns = now_ns();
  uint64_t length = 0;
  if (!send_parts(link_.fd(), out_now_.data(), static_cast<int>(out_now_.size()), failure)) {
    // It may have said why before it closed: a refusal is not a dropped link.
    Failure said;
    if (!link_.expect(Frame::answer, &length, &said) && said.code != Code::link_lost) *failure = said;
    return false;
  }
  if (!link_.expect(Frame::answer, &length, failure)) return false;
  const uint64_t due = expected_.size() + data_bytes(link_.signature().outputs);
  if (length != due)
    return fail(failure, Code::runtime_error, "the far side's answer has %llu bytes and not %llu",
                static_cast<unsigned long long>(length), static_cast<unsigned long long>(due));
  if (!receive_parts(link_.fd(), in_now_.data(), static_cast<int>(in_now_.size()), failure)) return false;
  crossed_.received_ns = now_ns();
  crossed_.far_ns = static_cast<int64_t>(load_u64(head_.data() + 8));
  if (load_u64(head_.data()) != sequence_)
    return fail(failure, Code::runtime_error, "the far side answered another request");
  if (memcmp(head_.data() + kVarying, expected_.data() + kVarying, head_.size() - kVarying) != 0)
    return fail(failure, Code::runtime_error, "the far side's answer has other tensors than it said");
  // What it says of itself cannot be longer than the round trip; two clocks may run apart by far less than is let pass here.
  const int64_t round_trip = crossed_.received_ns - crossed_.sent_ns;
  if (crossed_.far_ns < 1 || crossed_.far_ns > round_trip + round_trip / 100 + 1000000)
    return fail(failure, Code::runtime_error, "the far side says it took longer than the whole round trip");
  return true;
}

uint64_t FarStage::bytes_sent() const { return request_.size() + data_bytes(link_.signature().inputs); }

uint64_t FarStage::bytes_received() const {
  return kHeaderBytes + expected_.size() + data_bytes(link_.signature().outputs);
}

}  // namespace edgebench
