// edgebench: loads one model on one runtime and times it. See docs/runner-protocol.md.
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "control.h"
#include "events.h"
#include "paths.h"
#include "plan.h"
#include "plan_file.h"
#include "queries.h"
#include "supervisor.h"
#include "worker.h"

namespace edgebench {
namespace {

struct Arguments {
  std::string plan, poll, cancel, describe, runtime, lib_dir;
  bool detach = false;
  bool hello = false;
};

int refused(const Failure& failure, const char* phase) {
  write_line(STDOUT_FILENO, error_line(failure, phase, 0));
  return exit_code(failure.code);
}

bool parse_arguments(int argc, char** argv, Arguments* out, Failure* failure) {
  for (int i = 1; i < argc; ++i) {
    struct {
      const char* name;
      std::string* value;
    } const with_value[] = {{"--plan", &out->plan},         {"--poll", &out->poll},       {"--cancel", &out->cancel},
                            {"--describe", &out->describe}, {"--runtime", &out->runtime}, {"--lib-dir", &out->lib_dir}};
    bool known = false;
    for (const auto& option : with_value) {
      if (strcmp(argv[i], option.name) != 0) continue;
      if (i + 1 >= argc || argv[i + 1][0] == '\0')
        return fail(failure, Code::plan_invalid, "%s needs a value", option.name);
      *option.value = argv[++i];
      known = true;
      break;
    }
    if (known) continue;
    if (strcmp(argv[i], "--detach") == 0) out->detach = true;
    else if (strcmp(argv[i], "--hello") == 0) out->hello = true;
    else return fail(failure, Code::plan_invalid, "unknown argument: %s", argv[i]);
  }
  int commands = !out->plan.empty() + !out->poll.empty() + !out->cancel.empty() + !out->describe.empty() + out->hello;
  if (commands != 1)
    return fail(failure, Code::plan_invalid,
                "one of --plan FILE [--detach], --poll DIR, --cancel DIR, --describe MODEL --runtime NAME, --hello");
  if (out->detach && out->plan.empty()) return fail(failure, Code::plan_invalid, "--detach goes with --plan");
  if (!out->describe.empty() && out->runtime.empty())
    return fail(failure, Code::plan_invalid, "--describe needs --runtime");
  return true;
}

// ../lib beside this program.
std::string default_lib_dir() {
  char path[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  std::string self = n > 0 ? std::string(path, static_cast<size_t>(n)) : "./edgebench";
  size_t slash = self.rfind('/');
  return (slash == std::string::npos ? "." : self.substr(0, slash)) + "/../lib";
}

int plan_command(const Arguments& arguments, const std::string& lib_dir) {
  Failure failure;
  Directory dir;
  Plan plan;
  if (!load_plan(arguments.plan, &dir, &plan, &failure)) return refused(failure, "plan");
  if (arguments.detach) {
    pid_t child = 0;
    if (!detach(dir, &child, &failure)) return refused(failure, "plan");
    if (child != 0) {
      Line line("detached");
      write_line(STDOUT_FILENO, line.integer("pid", child).str());
      return 0;
    }
  } else {
    int lock = -1;
    if (!claim(dir, &lock, &failure)) return refused(failure, "plan");
  }
  PlanJob job(plan, dir, lib_dir);
  FdSink sink(STDOUT_FILENO);
  Limits limits = {plan.max_seconds, plan.max_memory_mb << 10};
  return supervise(&job, limits, &sink, dir.fd, Phase::plan);
}

int run(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  Arguments arguments;
  Failure failure;
  if (!parse_arguments(argc, argv, &arguments, &failure)) return refused(failure, "arguments");
  std::string lib_dir = arguments.lib_dir.empty() ? default_lib_dir() : arguments.lib_dir;
  if (!arguments.poll.empty()) return poll_command(arguments.poll.c_str());
  if (!arguments.cancel.empty()) return cancel_command(arguments.cancel.c_str());
  if (!arguments.describe.empty()) return describe_command(arguments.describe, arguments.runtime, lib_dir);
  if (arguments.hello) return hello_command(arguments.runtime, lib_dir);
  return plan_command(arguments, lib_dir);
}

}  // namespace
}  // namespace edgebench

int main(int argc, char** argv) { return edgebench::run(argc, argv); }
