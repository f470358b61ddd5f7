#include "phases.h"

namespace edgebench {

namespace {

// Zero would read as a sample that was never taken.
int64_t at_least_one(int64_t elapsed) { return elapsed > 0 ? elapsed : 1; }

}  // namespace

bool time_first(Pipeline* pipeline, Sample* out, Failure* failure) {
  int64_t start = now_ns();
  if (!pipeline->invoke(failure)) return false;
  int64_t end = now_ns();
  *out = {start, at_least_one(end - start)};
  return true;
}

template <bool spins>
bool time_calls(Pipeline* pipeline, const PhasePlan& phase, double share, Sample* out, Timed* timed, Failure* failure) {
  const uint64_t min_count = phase.min_count;
  const uint64_t max_count = phase.max_count;
  const int64_t begin = now_ns();
  const int64_t until = begin + static_cast<int64_t>(phase.min_ms) * 1000000;
  int64_t end = begin;
  uint64_t count = 0;
  // Nothing in this loop but the call, two clock reads and one store: no allocation, no write, no print.
  while (count < max_count && (count < min_count || end < until)) {
    int64_t start = now_ns();
    if (!pipeline->invoke(failure)) return false;
    end = now_ns();
    if (spins) {
      const int64_t longer = end + static_cast<int64_t>(static_cast<double>(end - start) * share);
      while (end < longer) end = now_ns();
    }
    out[count] = {start, at_least_one(end - start)};
    ++count;
  }
  timed->count = count;
  timed->elapsed_ns = end - begin;
  return true;
}

bool time_phase(Pipeline* pipeline, const PhasePlan& phase, double spin_percent, Sample* out, Timed* timed,
                Failure* failure) {
  if (spin_percent > 0) return time_calls<true>(pipeline, phase, spin_percent / 100, out, timed, failure);
  return time_calls<false>(pipeline, phase, 0, out, timed, failure);
}

}  // namespace edgebench
