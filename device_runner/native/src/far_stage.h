// A stage that is on the far side, as a runtime: its call is a request and its answer.
#pragma once

#include <sys/uio.h>

#include <string>
#include <vector>

#include "far_link.h"
#include "runtime.h"

namespace edgebench {

// One call, on this side's clock but for what the far side measured of itself. The instants are for differences alone.
struct Crossed {
  int64_t sent_ns = 0;  // before the first byte
  int64_t received_ns = 0;
  int64_t far_ns = 0;
};

class FarStage final : public Runtime {
 public:
  FarStage(const FarPlan& plan, const std::string& token) : plan_(plan), token_(token) {}

  bool open(const char* lib_dir, Failure* failure) override;  // connects
  const char* version() override { return nullptr; }
  bool supports(const char* backend) override;
  bool load(const LoadRequest& request, Failure* failure) override;  // it is loaded there
  bool has_names() override { return false; }
  size_t count(Side side) override { return tensors(side).size(); }
  bool info(Side side, size_t index, TensorInfo* info, Failure* failure) override;
  bool bind(const Bound* inputs, const Bound* outputs, Failure* failure) override;
  bool invoke(Failure* failure) override;
  bool fetch(Failure* failure) override;
  void profile_anew() override {}
  const char* profile(ProfileSink* sink) override;

  bool reconnect(Failure* failure) { return link_.reconnect(failure); }
  void close() { link_.close(); }
  const Crossed& crossed() const { return crossed_; }
  // Of one call, headers included.
  uint64_t bytes_sent() const;
  uint64_t bytes_received() const;

 private:
  const std::vector<Travelling>& tensors(Side side) const {
    return side == Side::input ? link_.signature().inputs : link_.signature().outputs;
  }

  const FarPlan& plan_;
  const std::string& token_;
  FarLink link_;
  Crossed crossed_;
  uint64_t sequence_ = 0;
  std::vector<uint8_t> request_;   // header and head, ready but for the sequence number
  std::vector<uint8_t> expected_;  // head of the answer, likewise
  std::vector<uint8_t> head_;      // head of the answer as it came
  std::vector<iovec> out_, in_;    // what is sent after the request's head, and where the answer goes
  std::vector<iovec> out_now_, in_now_;
};

}  // namespace edgebench
