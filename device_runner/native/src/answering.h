// What a client of the far side may ask, frame by frame.
#pragma once

#include <cstdint>
#include <vector>

#include "bulk.h"
#include "frame.h"
#include "pipeline.h"
#include "plan.h"

namespace edgebench {

class Answering {
 public:
  enum class Outcome { served, left, broken };

  // The pipeline is bound, or the plan has no stages. All outlive this.
  Answering(const Plan& plan, const Digest& digest, Pipeline* pipeline);

  const Signature& signature() const { return signature_; }
  // Takes one frame and answers it. `broken` has why: `link_lost` where the connection is, anything else is for the client.
  Outcome frame(int fd, Failure* failure);

 private:
  bool infer(int fd, uint64_t length, Failure* failure);
  bool echo(int fd, uint64_t length, Failure* failure);
  bool sink(int fd, uint64_t length, Failure* failure);
  bool source(int fd, uint64_t length, Failure* failure);
  bool too_long(Failure* failure) const;

  const Plan& plan_;
  const Digest& digest_;
  Pipeline* pipeline_;
  Signature signature_;
  std::vector<uint8_t> expected_;  // head of a request
  std::vector<uint8_t> head_;      // as it came
  std::vector<uint8_t> answer_;    // header and head, ready but for the sequence number and the duration
  std::vector<uint8_t> scratch_;
  Bulk bulk_;
  bool first_ = true;
};

}  // namespace edgebench
