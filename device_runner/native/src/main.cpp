// edgebench: loads one model on one runtime and times it. See docs/runner-protocol.md.
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "baton.h"
#include "control.h"
#include "events.h"
#include "link_job.h"
#include "paths.h"
#include "plan.h"
#include "plan_file.h"
#include "queries.h"
#include "serving.h"
#include "supervisor.h"
#include "token.h"
#include "worker.h"

namespace edgebench {
namespace {

struct Arguments {
  std::string plan, serve, link, bind, poll, cancel, describe, runtime, lib_dir;
  std::vector<std::string> beside;
  bool detach = false;
  bool hello = false;
  bool kernels = false;
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
                            {"--describe", &out->describe}, {"--runtime", &out->runtime}, {"--lib-dir", &out->lib_dir},
                            {"--serve", &out->serve},       {"--link", &out->link},       {"--bind", &out->bind}};
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
    if (strcmp(argv[i], "--beside") == 0) {
      if (i + 1 >= argc || argv[i + 1][0] == '\0')
        return fail(failure, Code::plan_invalid, "--beside needs a value");
      out->beside.push_back(argv[++i]);
      continue;
    }
    if (strcmp(argv[i], "--detach") == 0) out->detach = true;
    else if (strcmp(argv[i], "--hello") == 0) out->hello = true;
    else if (strcmp(argv[i], "--kernels") == 0) out->kernels = true;
    else return fail(failure, Code::plan_invalid, "unknown argument: %s", argv[i]);
  }
  int commands = !out->plan.empty() + !out->serve.empty() + !out->link.empty() + !out->poll.empty() + !out->cancel.empty() +
                 !out->describe.empty() + out->hello + out->kernels;
  if (commands != 1)
    return fail(failure, Code::plan_invalid,
                "one of --plan FILE [--detach [--beside FILE]...], --serve FILE [--bind ADDRESS] [--detach], --link FILE, --poll DIR, --cancel DIR, "
                "--describe MODEL --runtime NAME, --hello, --kernels --runtime NAME");
  if (out->detach && out->plan.empty() && out->serve.empty())
    return fail(failure, Code::plan_invalid, "--detach goes with --plan or --serve");
  if (!out->beside.empty() && (out->plan.empty() || !out->detach))
    return fail(failure, Code::plan_invalid, "--beside goes with --plan and --detach");
  if (out->beside.size() >= kMostInTurns)
    return fail(failure, Code::plan_invalid, "%zu plans at most take turns", kMostInTurns);
  if (!out->bind.empty() && out->serve.empty()) return fail(failure, Code::plan_invalid, "--bind goes with --serve");
  if ((!out->describe.empty() || out->kernels) && out->runtime.empty())
    return fail(failure, Code::plan_invalid, "%s needs --runtime", out->kernels ? "--kernels" : "--describe");
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

// Claims the directory, in a process of its own where it is to be detached. True in the one that is to go on.
bool begun(const Directory& dir, bool detached, int* code, pid_t* pid = nullptr) {
  Failure failure;
  int lock = -1;
  if (!detached) {
    if (claim(dir, &lock, &failure)) return true;
    *code = refused(failure, "plan");
    return false;
  }
  pid_t child = 0;
  if (!detach(dir, &child, &failure)) {
    *code = refused(failure, "plan");
    return false;
  }
  if (child == 0) return true;
  if (pid != nullptr) *pid = child;
  Line line("detached");
  write_line(STDOUT_FILENO, line.integer("pid", child).str());
  *code = 0;
  return false;
}

int plan_command(const Arguments& arguments, const std::string& lib_dir) {
  Failure failure;
  Directory dir;
  Plan plan;
  Surroundings surroundings;
  if (!load_plan(arguments.plan, &dir, &plan, &failure)) return refused(failure, "plan");
  if (plan.serve.wanted) {
    fail(&failure, Code::plan_invalid, "this is a far side's plan: start it with --serve");
    return refused(failure, "plan");
  }
  // From stdin it is read before that is let go of; from a file by the worker.
  if (plan.far.wanted && plan.far.token_file.empty() && !read_token(dir, "", false, &surroundings.token, &failure))
    return refused(failure, "plan");
  int code = 0;
  if (!begun(dir, arguments.detach, &code)) return code;
  PlanJob job(plan, dir, lib_dir, surroundings);
  FdSink sink(STDOUT_FILENO);
  Limits limits = {plan.max_seconds, plan.max_memory_mb << 10};
  return supervise(&job, limits, &sink, dir.fd, Phase::plan);
}

// Several plans, each detached in its own directory, that take turns. None is begun unless all can be read.
int in_turns_command(const Arguments& arguments, const std::string& lib_dir) {
  std::vector<std::string> files = {arguments.plan};
  files.insert(files.end(), arguments.beside.begin(), arguments.beside.end());
  std::vector<Directory> dirs(files.size());
  std::vector<Plan> plans(files.size());
  Failure failure;
  for (size_t i = 0; i < files.size(); ++i) {
    if (!load_plan(files[i], &dirs[i], &plans[i], &failure)) return refused(failure, "plan");
    if (plans[i].serve.wanted || plans[i].turn_ms == 0) {
      fail(&failure, Code::plan_invalid, "%s: a plan with --beside takes turns: it has turn_ms, and no serve", files[i].c_str());
      return refused(failure, "plan");
    }
  }
  Baton* const baton = Baton::make(files.size());
  if (baton == nullptr) {
    fail(&failure, Code::internal, "no memory to share");
    return refused(failure, "plan");
  }
  int worst = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    int code = 0;
    pid_t pid = 0;
    if (!begun(dirs[i], true, &code, &pid)) {  // in the process that was called
      if (code != 0) baton->leave(i);
      else baton->join(i, pid);
      if (worst == 0) worst = code;
      continue;
    }
    baton->join(i, getpid());  // who called may have been killed before it could
    PlanJob job(plans[i], dirs[i], lib_dir, Surroundings(), Turns{baton, i});
    FdSink sink(STDOUT_FILENO);
    const int ended = supervise(&job, {plans[i].max_seconds, plans[i].max_memory_mb << 10}, &sink, dirs[i].fd, Phase::plan);
    baton->leave(i);
    return ended;
  }
  return worst;
}

int serve_command(const Arguments& arguments, const std::string& lib_dir) {
  Failure failure;
  Directory dir;
  Plan plan;
  Address address;
  std::string text, token;
  if (!read_plan_file(arguments.serve, &dir, &text, &failure) || !parse_plan(text, &plan, &failure))
    return refused(failure, "plan");
  if (!plan.serve.wanted) fail(&failure, Code::plan_invalid, "this is no far side's plan: it has no serve");
  else if (!arguments.bind.empty() && !parse_address(arguments.bind, &address))
    fail(&failure, Code::plan_invalid, "--bind takes a numeric address, with or without a port");
  else if (read_token(dir, plan.serve.token_file, true, &token, &failure)) failure = Failure();
  if (failure.code != Code::none) return refused(failure, "plan");
  int code = 0;
  if (!begun(dir, arguments.detach, &code)) return code;
  const Digest digest = sha256(text.data(), text.size());
  ServeJob job(plan, digest, dir, lib_dir, token, address);
  FdSink sink(STDOUT_FILENO);
  Limits limits = {plan.max_seconds, plan.max_memory_mb << 10};
  return supervise(&job, limits, &sink, dir.fd, Phase::plan);
}

int link_command(const std::string& path) {
  Failure failure;
  Directory dir;
  LinkPlan plan;
  std::string text, token;
  if (!read_plan_file(path, &dir, &text, &failure) || !parse_link(text, &plan, &failure) ||
      !read_token(dir, plan.far.token_file, false, &token, &failure))
    return refused(failure, "plan");
  LinkJob job(plan, token);
  FdSink sink(STDOUT_FILENO);
  // What is under way when the time is up may stall once more before it is known to be lost.
  const double seconds = plan.far.connect_seconds + plan.most_seconds + 2 * plan.far.stall_seconds + 5;
  return supervise(&job, {seconds, 1u << 20}, &sink, -1, Phase::link);
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
  if (arguments.kernels) return kernels_command(arguments.runtime, lib_dir);
  if (arguments.hello) return hello_command(arguments.runtime, lib_dir);
  if (!arguments.link.empty()) return link_command(arguments.link);
  if (!arguments.serve.empty()) return serve_command(arguments, lib_dir);
  return arguments.beside.empty() ? plan_command(arguments, lib_dir) : in_turns_command(arguments, lib_dir);
}

}  // namespace
}  // namespace edgebench

int main(int argc, char** argv) { return edgebench::run(argc, argv); }
