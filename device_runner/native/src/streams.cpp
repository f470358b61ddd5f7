#include "streams.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cstring>

namespace edgebench {

namespace {

// What the threads of a phase have in common. Each flag has one writer: a counter would need the atomics that GCC and
// Clang leave to a library on ARM, which is not there without an NDK.
struct Gate {
  const PhasePlan* phase;
  size_t streams;
  std::atomic<bool> ready[kMaxStreams] = {};
  std::atomic<bool> met[kMaxStreams] = {};  // has met the minima, or can do no more
  std::atomic<bool> failed{false};

  bool all(const std::atomic<bool>* flags) const {
    for (size_t i = 0; i < streams; ++i)
      if (!flags[i].load(std::memory_order_acquire)) return false;
    return true;
  }
};

struct Stream {
  Gate* gate;
  size_t index;
  Pipeline* pipeline;
  Sample* out;
  Timed timed;
  Failure failure;
  bool ok = true;
};

void* run_stream(void* argument) {
  Stream* stream = static_cast<Stream*>(argument);
  Gate* gate = stream->gate;
  const PhasePlan& phase = *gate->phase;
  gate->ready[stream->index].store(true);
  while (!gate->all(gate->ready) && !gate->failed.load()) sched_yield();
  const int64_t begin = now_ns();
  const int64_t until = begin + static_cast<int64_t>(phase.min_ms) * 1000000;
  int64_t end = begin;
  uint64_t count = 0;
  bool met = false;
  for (;;) {
    if (!met && (count == phase.max_count || (count >= phase.min_count && end >= until))) {
      met = true;
      gate->met[stream->index].store(true);
    }
    if (count == phase.max_count || (met && gate->all(gate->met))) break;
    if (gate->failed.load(std::memory_order_relaxed)) break;
    int64_t start = now_ns();
    if (!stream->pipeline->invoke(&stream->failure)) {
      stream->ok = false;
      gate->failed.store(true);
      break;
    }
    end = now_ns();
    stream->out[count] = {start, end > start ? end - start : 1};
    ++count;
  }
  stream->timed.count = count;
  stream->timed.elapsed_ns = end - begin;
  return nullptr;
}

}  // namespace

bool Streams::open(const Plan& plan, const Directory& dir, const char* lib_dir, Pipeline* first, Failure* failure) {
  pipelines_.push_back(first);
  while (pipelines_.size() < static_cast<size_t>(plan.streams)) {
    Pipeline* copy = new Pipeline;  // as a runtime: it lives as long as its process
    if (!copy->open_files(plan, dir, failure) || !copy->open_library(lib_dir, failure) || !copy->load(failure) ||
        !copy->bind(failure) || !copy->feed(0, failure) || !copy->invoke(failure))
      return false;
    pipelines_.push_back(copy);
  }
  return true;
}

bool Streams::time_phase(const PhasePlan& phase, SampleFile* samples, bool warmup, Timed* timed, Failure* failure) {
  Gate gate;
  gate.phase = &phase;
  gate.streams = pipelines_.size();
  std::vector<Stream> streams(pipelines_.size());
  std::vector<pthread_t> threads(pipelines_.size());
  size_t made = 1;  // this thread is the first
  int error = 0;
  for (size_t i = 0; i < streams.size(); ++i) {
    streams[i].gate = &gate;
    streams[i].index = i;
    streams[i].pipeline = pipelines_[i];
    streams[i].out = warmup ? samples->warmup(i) : samples->steady(i);
  }
  for (; made < streams.size(); ++made) {
    error = pthread_create(&threads[made], nullptr, run_stream, &streams[made]);
    if (error != 0) break;
  }
  if (error != 0) gate.failed.store(true);
  else run_stream(&streams[0]);
  for (size_t i = 1; i < made; ++i) pthread_join(threads[i], nullptr);
  if (error != 0) return fail(failure, Code::internal, "a thread could not be made: %s", strerror(error));
  for (const Stream& stream : streams) {
    if (!stream.ok) {
      *failure = stream.failure;
      return false;
    }
    timed->count += stream.timed.count;
    if (stream.timed.elapsed_ns > timed->elapsed_ns) timed->elapsed_ns = stream.timed.elapsed_ns;
  }
  return true;
}

}  // namespace edgebench
