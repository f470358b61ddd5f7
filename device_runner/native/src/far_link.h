// The near side's end of a link: connected, agreed with the far side, and connected again where it dropped.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "far_plan.h"
#include "frame.h"

namespace edgebench {

class FarLink {
 public:
  // `plan` outlives this.
  bool open(const FarPlan& plan, const std::string& token, Failure* failure);
  // As before, for up to the plan's reconnect_seconds. The far side must be the same still.
  bool reconnect(Failure* failure);
  void close();  // with a `bye`

  int fd() const { return fd_; }
  const FarPlan& plan() const { return *plan_; }
  const Signature& signature() const { return signature_; }
  // The next frame's header, which must be of this type; what else comes is a failure, an `error` frame the far side's own.
  bool expect(Frame type, uint64_t* length, Failure* failure);

 private:
  bool agree(Signature* out, Failure* failure);
  bool connect_within(double seconds, Signature* out, Failure* failure);

  const FarPlan* plan_ = nullptr;
  std::string token_;
  uint8_t session_[kSessionBytes] = {};
  int fd_ = -1;
  Signature signature_;
};

}  // namespace edgebench
