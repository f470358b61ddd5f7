#include "far_link.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "samples.h"
#include "token.h"

namespace edgebench {

namespace {

constexpr int64_t kMillisecond = 1000000;
constexpr int64_t kFirstPause = 20 * kMillisecond, kLongestPause = 500 * kMillisecond;
constexpr double kHelloSeconds = 5;  // for one answer to a hello, where the plan lets things stall for longer

void pause_for(int64_t nanoseconds) {
  timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  nanosleep(&time, nullptr);
}

// Worth another try: the far side is not up yet, its tunnel is not, or it has not noticed that we are gone.
bool passes(Code code) { return code == Code::link_lost || code == Code::busy; }

bool same(const std::vector<Travelling>& one, const std::vector<Travelling>& other) {
  return tensors_head(one) == tensors_head(other);
}

}  // namespace

bool FarLink::open(const FarPlan& plan, const std::string& token, Failure* failure) {
  plan_ = &plan;
  token_ = token;
  return random_bytes(session_, sizeof session_, failure) && connect_within(plan.connect_seconds, &signature_, failure);
}

bool FarLink::reconnect(Failure* failure) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  Signature now;
  if (!connect_within(plan_->reconnect_seconds, &now, failure)) return false;
  return (same(now.inputs, signature_.inputs) && same(now.outputs, signature_.outputs)) ||
         fail(failure, Code::signature_mismatch, "the far side has other tensors than before");
}

void FarLink::close() {
  if (fd_ < 0) return;
  uint8_t header[kHeaderBytes];
  put_header(header, Frame::bye, 0, plan_->plan);
  send_bytes(fd_, header, sizeof header, nullptr);
  ::close(fd_);
  fd_ = -1;
}

bool FarLink::connect_within(double seconds, Signature* out, Failure* failure) {
  const int64_t until = now_ns() + static_cast<int64_t>(seconds * 1e9);
  for (int64_t pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    const int64_t left = std::max(until - now_ns(), kFirstPause);
    if (connect_to(plan_->address, std::min<int64_t>(left / kMillisecond, 600000), &fd_, failure)) {
      // A tunnel may take the connection with nobody at its other end: an answer must come in time all the same.
      prepare_socket(fd_, std::min(plan_->stall_seconds, std::max(kHelloSeconds, static_cast<double>(left) / 1e9)));
      if (agree(out, failure)) {
        prepare_socket(fd_, plan_->stall_seconds);
        return true;
      }
      ::close(fd_);
      fd_ = -1;
    }
    if (!passes(failure->code) || now_ns() + pause > until) return false;
    pause_for(pause);
  }
}

bool FarLink::agree(Signature* out, Failure* failure) {
  uint8_t hello[kHeaderBytes + kMostHello];
  const size_t length = sizeof session_ + token_.size();
  put_header(hello, Frame::hello, length, plan_->plan);
  memcpy(hello + kHeaderBytes, session_, sizeof session_);
  memcpy(hello + kHeaderBytes + sizeof session_, token_.data(), token_.size());
  if (!send_bytes(fd_, hello, kHeaderBytes + length, failure)) return false;
  uint64_t bytes = 0;
  if (!expect(Frame::welcome, &bytes, failure)) return false;
  if (bytes > kMostWelcome) return fail(failure, Code::runtime_error, "the far side's welcome is too long");
  std::vector<uint8_t> body(bytes);
  *out = Signature();
  if (!receive_bytes(fd_, body.data(), body.size(), failure)) return false;
  return read_welcome(body, out) || fail(failure, Code::runtime_error, "the far side's welcome cannot be read");
}

bool FarLink::expect(Frame type, uint64_t* length, Failure* failure) {
  uint8_t bytes[kHeaderBytes];
  Header header;
  Digest plan;
  if (!receive_bytes(fd_, bytes, sizeof bytes, failure)) return false;
  if (!read_header(bytes, &header, &plan))
    return fail(failure, Code::runtime_error, "what answers on port %d is no edgebench of this version", plan_->address.port);
  if (header.type == Frame::error && header.length <= kMostErrorText) {
    std::vector<uint8_t> body(header.length);
    if (receive_bytes(fd_, body.data(), body.size(), failure)) read_error(body, failure);
    return false;
  }
  if (memcmp(plan.bytes, plan_->plan.bytes, sizeof plan.bytes) != 0)
    return fail(failure, Code::denied, "the far side serves another plan");
  if (header.type != type)
    return fail(failure, Code::runtime_error, "the far side sent a frame of type %d where one of type %d was due",
                static_cast<int>(header.type), static_cast<int>(type));
  *length = header.length;
  return true;
}

}  // namespace edgebench
