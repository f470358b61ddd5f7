// The worker of edgebench inside an app. The process it is called in is the worker: it does one thing and is then ended by its
// own hand, so nothing is cleaned up here. What watches it is on the Java side (core/Supervisor.java), in another process.
#include <jni.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "control.h"
#include "events.h"
#include "paths.h"
#include "plan_file.h"
#include "queries.h"
#include "worker.h"

namespace edgebench {
namespace {

constexpr char kLinesName[] = "worker.jsonl";
constexpr char kStderrName[] = "stderr.txt";

std::string text_of(JNIEnv* env, jobject string) {
  if (string == nullptr) return "";
  const char* chars = env->GetStringUTFChars(static_cast<jstring>(string), nullptr);
  std::string text = chars == nullptr ? "" : chars;
  if (chars != nullptr) env->ReleaseStringUTFChars(static_cast<jstring>(string), chars);
  return text;
}

struct Asked {
  std::string directory, lib_dir, notes_dir;
  std::vector<std::string> command;
};

int run_plan(const Asked& asked, Channel* channel) {
  Failure failure;
  Directory dir;
  Plan plan;
  int lock = -1;
  if (!load_plan(asked.directory + "/plan.json", &dir, &plan, &failure) || !claim(dir, &lock, &failure))
    return channel->failed(failure);
  if (plan.serve.wanted) {
    fail(&failure, Code::plan_invalid, "an app serves no far side");
    return channel->failed(failure);
  }
  PlanJob job(plan, dir, asked.lib_dir, {"an app cannot fork", asked.notes_dir});
  return job.run(channel);
}

int run(const Asked& asked) {
  Failure failure;
  Directory dir;
  int lines = -1, errors = -1;
  if (!open_directory(asked.directory, Code::plan_missing, &dir, &failure) ||
      !create_file(dir.fd, kLinesName, &lines, &failure) || !create_file(dir.fd, kStderrName, &errors, &failure))
    return exit_code(failure.code);
  // Runtimes print what they like, and a phone would throw it away.
  dup2(errors, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  Shared shared;
  Channel channel(lines, &shared);
  const std::vector<std::string>& command = asked.command;
  const std::string name = command.empty() ? "" : command[0];
  if (name == "plan" && command.size() == 1) return run_plan(asked, &channel);
  if (name == "describe" && command.size() == 3) return describe_here(command[1], command[2], asked.lib_dir, &channel);
  if (name == "hello" && command.size() == 1) return hello_here(asked.lib_dir, asked.notes_dir, &channel);
  fail(&failure, Code::plan_invalid, "one of plan, describe MODEL RUNTIME, hello");
  return channel.failed(failure);
}

}  // namespace
}  // namespace edgebench

// The exit code of the protocol. `command` is plan (of plan.json in `directory`), describe or hello; the lines of all of them
// go to worker.jsonl in `directory`.
extern "C" JNIEXPORT jint JNICALL Java_dev_edgedeploy_bench_core_Native_run(
    JNIEnv* env, jclass, jstring directory, jobjectArray command, jstring lib_dir, jstring notes_dir) {
  using edgebench::text_of;
  edgebench::Asked asked = {text_of(env, directory), text_of(env, lib_dir), text_of(env, notes_dir), {}};
  const jsize count = env->GetArrayLength(command);
  for (jsize i = 0; i < count; ++i) asked.command.push_back(text_of(env, env->GetObjectArrayElement(command, i)));
  return edgebench::run(asked);
}
