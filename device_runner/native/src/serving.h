// The far side: a plan's stages, loaded once and served over a link until there is no more to do.
#pragma once

#include <string>

#include "job.h"
#include "paths.h"
#include "plan.h"
#include "socket.h"

namespace edgebench {

class ServeJob : public Job {
 public:
  ServeJob(const Plan& plan, const Digest& digest, const Directory& dir, const std::string& lib_dir, const std::string& token,
           const Address& address)
      : plan_(plan), digest_(digest), dir_(dir), lib_dir_(lib_dir), token_(token), address_(address) {}
  int run(Channel* channel) override;

 private:
  bool steps(Channel* channel, Failure* failure);

  const Plan& plan_;
  const Digest& digest_;
  const Directory& dir_;
  const std::string& lib_dir_;
  const std::string& token_;
  Address address_;
};

}  // namespace edgebench
