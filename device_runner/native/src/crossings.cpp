#include "crossings.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "mapped.h"

namespace edgebench {

namespace {

struct FileHeader {
  char magic[4];
  uint32_t version;
  uint64_t warmup_capacity;
  uint64_t steady_capacity;
  uint64_t reserved;
};
static_assert(sizeof(FileHeader) == 32 && sizeof(Crossing) == 24, "the layout is part of the protocol");

constexpr char kPackedName[] = ".crossings.bin";
constexpr uint64_t kSaneCapacity = 1u << 24;
constexpr size_t kMostGaps = 64;  // of a launch: with more, it is no measurement of anything

}  // namespace

bool Crossings::create(const Directory& dir, const Plan& plan, Failure* failure) {
  const FileHeader header = {{'E', 'D', 'G', 'X'}, 1, plan.warmup.max_count, plan.steady.max_count, 0};
  const size_t bytes = sizeof(FileHeader) + sizeof(Crossing) * (plan.warmup.max_count + plan.steady.max_count);
  void* map = nullptr;
  if (!map_new_file(dir, kCrossingsName, bytes, &header, sizeof header, &map, failure)) return false;
  first_ = reinterpret_cast<Crossing*>(static_cast<char*>(map) + sizeof(FileHeader));
  warmup_capacity_ = plan.warmup.max_count;
  gaps_.reserve(kMostGaps);
  return true;
}

bool Crossings::mend(Pipeline* pipeline, uint64_t after, int64_t start_ns, Failure* failure) {
  if (failure->code != Code::link_lost) return false;
  if (gaps_.size() == kMostGaps) return fail(failure, Code::link_lost, "the link was lost more than %zu times", kMostGaps);
  Gap gap = {after, start_ns, 0, ""};
  memcpy(gap.reason, failure->message, sizeof gap.reason);
  Failure again;
  if (!pipeline->far()->reconnect(&again)) {
    const Code code = again.code == Code::busy ? Code::link_lost : again.code;
    return fail(failure, code, "the link was lost (%.200s) and did not come back: %s", gap.reason, again.message);
  }
  gap.elapsed_ns = now_ns() - start_ns;
  gaps_.push_back(gap);
  *failure = Failure();
  return true;
}

bool Crossings::infer(Pipeline* pipeline, Sample* sample, Crossing* crossing, Failure* failure) {
  for (;;) {
    const int64_t start = now_ns();
    if (pipeline->invoke(failure)) {
      const int64_t end = now_ns();
      const Crossed& crossed = pipeline->far()->crossed();
      *sample = {start, end - start};
      *crossing = {crossed.sent_ns - start, crossed.received_ns - crossed.sent_ns, crossed.far_ns};
      return true;
    }
    if (!mend(pipeline, 0, start, failure)) return false;
  }
}

bool Crossings::time_phase(Pipeline* pipeline, const PhasePlan& phase, bool warmup, Sample* out, Timed* timed,
                           Failure* failure) {
  Crossing* const crossings = first_ + (warmup ? 0 : warmup_capacity_);
  const FarStage& far = *pipeline->far();
  const int64_t begin = now_ns();
  int64_t until = begin + static_cast<int64_t>(phase.min_ms) * 1000000;
  int64_t end = begin;
  int64_t away = 0;
  uint64_t count = 0;
  bool ok = true;
  // As where everything is here: nothing in this loop but the call, two clock reads and two stores, while the link holds.
  while (ok && count < phase.max_count && (count < phase.min_count || end < until)) {
    const int64_t start = now_ns();
    if (pipeline->invoke(failure)) {
      end = now_ns();
      const Crossed& crossed = far.crossed();
      crossings[count] = {crossed.sent_ns - start, crossed.received_ns - crossed.sent_ns, crossed.far_ns};
      out[count] = {start, end - start};
      ++count;
      continue;
    }
    ok = mend(pipeline, count, start, failure);
    end = now_ns();
    away += end - start;
    until += end - start;
  }
  timed->count = count;
  timed->elapsed_ns = end - begin - away;
  return ok;
}

void pack_crossings(int dir_fd) {
  const int from = openat(dir_fd, kCrossingsName, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (from < 0) return;
  FileHeader header;
  const SampleCounts counts = count_samples(dir_fd);
  Failure ignored;
  int to = -1;
  if (read_at(from, &header, sizeof header, 0) && memcmp(header.magic, "EDGX", 4) == 0 &&
      header.warmup_capacity <= kSaneCapacity && counts.warmup <= header.warmup_capacity &&
      counts.steady < header.steady_capacity && create_file(dir_fd, kPackedName, &to, &ignored)) {
    FileHeader packed = header;
    packed.warmup_capacity = counts.warmup;
    packed.steady_capacity = counts.steady;
    const uint64_t warmup = counts.warmup * sizeof(Crossing), steady = counts.steady * sizeof(Crossing);
    const bool whole =
        write_at(to, &packed, sizeof packed, 0) && copy_bytes(from, sizeof header, to, sizeof packed, warmup) &&
        copy_bytes(from, sizeof header + header.warmup_capacity * sizeof(Crossing), to, sizeof packed + warmup, steady);
    if (!whole || renameat(dir_fd, kPackedName, dir_fd, kCrossingsName) != 0) unlinkat(dir_fd, kPackedName, 0);
    close(to);
  }
  close(from);
}

void Crossings::report(Channel* channel, const char* phase) {
  for (; reported_ < gaps_.size(); ++reported_) {
    const Gap& gap = gaps_[reported_];
    Line line("gap");
    line.text("phase", phase).number("after", gap.after).integer("start_ns", gap.start_ns);
    channel->send(line.integer("elapsed_ns", gap.elapsed_ns).text("reason", gap.reason));
  }
}

}  // namespace edgebench
