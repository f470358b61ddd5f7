// The worker: one plan, from its files to its last event, in the order of the protocol.
#pragma once

#include <string>

#include "job.h"
#include "paths.h"
#include "plan.h"
#include "runtime.h"

namespace edgebench {

class PlanJob : public Job {
 public:
  PlanJob(const Plan& plan, const Directory& dir, const std::string& lib_dir)
      : plan_(plan), dir_(dir), lib_dir_(lib_dir) {}
  int run(Channel* channel) override;

 private:
  bool steps(Channel* channel, Failure* failure);

  const Plan& plan_;
  const Directory& dir_;
  const std::string& lib_dir_;
};

// The version a library gives itself, else the one noted in the bundle's lib/versions.json, else empty.
std::string runtime_version(Runtime* runtime, const char* name, const std::string& lib_dir);

}  // namespace edgebench
