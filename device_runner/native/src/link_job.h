// The link to a far side, measured: how long an echo takes, and how many bytes go each way.
#pragma once

#include <string>

#include "bulk.h"
#include "far_link.h"
#include "job.h"

namespace edgebench {

class LinkJob : public Job {
 public:
  LinkJob(const LinkPlan& plan, const std::string& token) : plan_(plan), token_(token) {}
  int run(Channel* channel) override;

 private:
  bool steps(Channel* channel, Failure* failure);
  bool echo(int64_t* elapsed, Failure* failure);
  bool up(std::string* round, Failure* failure);
  bool down(std::string* round, Failure* failure);

  const LinkPlan& plan_;
  const std::string& token_;
  FarLink link_;
  Bulk bulk_;
};

}  // namespace edgebench
