// The worker: one plan, from its files to its last event, in the order of the protocol.
#pragma once

#include <string>

#include "baton.h"
#include "job.h"
#include "paths.h"
#include "plan.h"
#include "runtime.h"

namespace edgebench {

// What is otherwise where the worker is not a process of our own making, but an app's.
struct Surroundings {
  const char* not_cold = nullptr;  // why there can be no cold load
  std::string notes_dir;           // where versions.json is, when not beside the libraries
  std::string token = {};          // of a plan with a far stage and no token_file
};

class PlanJob : public Job {
 public:
  PlanJob(const Plan& plan, const Directory& dir, const std::string& lib_dir, const Surroundings& surroundings = {},
          const Turns& turns = {})
      : plan_(plan), dir_(dir), lib_dir_(lib_dir), surroundings_(surroundings), turns_(turns) {}
  int run(Channel* channel) override;

 private:
  bool steps(Channel* channel, Failure* failure);

  const Plan& plan_;
  const Directory& dir_;
  const std::string& lib_dir_;
  const Surroundings surroundings_;
  const Turns turns_;
};

// The version a library gives itself, else the one noted in versions.json of the bundle's lib, else empty.
std::string runtime_version(Runtime* runtime, const char* name, const std::string& notes_dir);

// The `hello` line; `version` is empty where the library could not be opened, or nothing of it runs here.
void say_hello(Channel* channel, const Plan& plan, const std::string& version);

}  // namespace edgebench
