#include "link_job.h"

#include <vector>

#include "phases.h"
#include "samples.h"

namespace edgebench {

namespace {

std::string joined(const std::vector<std::string>& items) {
  std::string text = "[";
  for (const std::string& item : items) text += (text.size() > 1 ? "," : "") + item;
  return text + "]";
}

std::string field(const char* name, int64_t value) { return "\"" + std::string(name) + "\":" + std::to_string(value); }

}  // namespace

bool LinkJob::echo(int64_t* elapsed, Failure* failure) {
  std::vector<uint8_t> frame(kHeaderBytes + plan_.echo_bytes), back(plan_.echo_bytes);
  put_header(frame.data(), Frame::echo, plan_.echo_bytes, plan_.far.plan);
  uint64_t length = 0;
  const int64_t start = now_ns();
  if (!send_bytes(link_.fd(), frame.data(), frame.size(), failure) || !link_.expect(Frame::echoed, &length, failure))
    return false;
  if (length != back.size()) return fail(failure, Code::runtime_error, "the far side echoed another number of bytes");
  if (!receive_bytes(link_.fd(), back.data(), back.size(), failure)) return false;
  *elapsed = now_ns() - start;
  return true;
}

bool LinkJob::up(std::string* round, Failure* failure) {
  uint8_t header[kHeaderBytes], answer[16];
  put_header(header, Frame::sink, plan_.bytes, plan_.far.plan);
  uint64_t length = 0;
  const int64_t start = now_ns();
  if (!send_bytes(link_.fd(), header, sizeof header, failure) || !bulk_.give(link_.fd(), plan_.bytes, failure) ||
      !link_.expect(Frame::sunk, &length, failure))
    return false;
  if (length != sizeof answer) return fail(failure, Code::runtime_error, "the far side's answer to a sink has another length");
  if (!receive_bytes(link_.fd(), answer, sizeof answer, failure)) return false;
  const int64_t elapsed = now_ns() - start;
  const uint64_t far_ns = load_u64(answer + 8) & INT64_MAX;
  *round = "{" + field("bytes", static_cast<int64_t>(plan_.bytes)) + "," + field("elapsed_ns", elapsed) + "," +
           field("far_ns", static_cast<int64_t>(far_ns)) + "}";
  return true;
}

bool LinkJob::down(std::string* round, Failure* failure) {
  uint8_t request[kHeaderBytes + 8];
  put_header(request, Frame::source, 8, plan_.far.plan);
  store_u64(request + kHeaderBytes, plan_.bytes);
  uint64_t length = 0;
  int64_t between = 0;
  const int64_t start = now_ns();
  if (!send_bytes(link_.fd(), request, sizeof request, failure) || !link_.expect(Frame::sourced, &length, failure)) return false;
  if (length != plan_.bytes) return fail(failure, Code::runtime_error, "the far side sends another number of bytes than wanted");
  if (!bulk_.take(link_.fd(), length, &between, failure)) return false;
  *round = "{" + field("bytes", static_cast<int64_t>(plan_.bytes)) + "," + field("elapsed_ns", now_ns() - start) + "}";
  return true;
}

bool LinkJob::steps(Channel* channel, Failure* failure) {
  channel->enter(Phase::link);
  if (!link_.open(plan_.far, token_, failure)) return false;
  const int64_t until = now_ns() + static_cast<int64_t>(plan_.most_seconds * 1e9);
  std::vector<std::string> echoes, ups, downs;
  for (uint64_t i = 0; i < plan_.echoes && (i == 0 || now_ns() < until); ++i) {
    int64_t elapsed = 0;
    if (plan_.rest_us > 0) rest(plan_.rest_us);
    if (!echo(&elapsed, failure)) return false;
    echoes.push_back(std::to_string(elapsed));
  }
  for (uint64_t i = 0; i < plan_.rounds && (i == 0 || now_ns() < until); ++i) {
    std::string one_way, other;
    if (plan_.rest_us > 0) rest(plan_.rest_us);
    if (!up(&one_way, failure)) return false;
    if (plan_.rest_us > 0) rest(plan_.rest_us);
    if (!down(&other, failure)) return false;
    ups.push_back(one_way);
    downs.push_back(other);
  }
  link_.close();
  Line line("link");
  channel->send(line.raw("echo_ns", joined(echoes)).raw("up", joined(ups)).raw("down", joined(downs)));
  return true;
}

int LinkJob::run(Channel* channel) {
  Failure failure;
  return steps(channel, &failure) ? 0 : channel->failed(failure);
}

}  // namespace edgebench
