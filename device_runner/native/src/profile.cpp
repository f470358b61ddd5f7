#include "profile.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace edgebench {

namespace {

class Reporter : public ProfileSink {
 public:
  Reporter(Channel* channel, const Directory& dir, size_t stage) : channel_(channel), dir_(dir), stage_(stage) {}

  void operator_time(const OperatorTime& time) override {
    Line line("operator");
    line.number("stage", stage_).number("index", operators_++).text("name", time.name).text("where", time.where);
    line.number("calls", time.calls).number("elapsed_ns", time.elapsed_ns);
    channel_->send(line.number("median_ns", time.median_ns));
  }

  void trace_file(const char* path) override {
    file_ = kProfilePrefix + std::to_string(stage_) + ".json";
    if (rename(path, (dir_.real + "/" + file_).c_str()) != 0) {
      snprintf(reason_, sizeof reason_, "its trace cannot be kept: %s", strerror(errno));
      file_.clear();
    }
  }

  void end(const char* reason) {
    if (reason == nullptr && reason_[0] != '\0') reason = reason_;
    Line line("profile");
    line.number("stage", stage_).number("operators", operators_);
    line.text("file", file_.empty() ? nullptr : file_.c_str()).text("reason", reason);
    channel_->send(line);
  }

 private:
  Channel* channel_;
  const Directory& dir_;
  const size_t stage_;
  size_t operators_ = 0;
  std::string file_;
  char reason_[200] = "";
};

}  // namespace

void report_profile(Channel* channel, const Directory& dir, Pipeline* pipeline) {
  for (size_t stage = 0; stage < pipeline->stages(); ++stage) {
    Reporter reporter(channel, dir, stage);
    reporter.end(pipeline->runtime(stage)->profile(&reporter));
  }
}

}  // namespace edgebench
