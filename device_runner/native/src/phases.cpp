#include "phases.h"

#include <time.h>

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

template <bool spins, bool rests>
bool time_calls(Pipeline* pipeline, const PhasePlan& phase, double share, uint64_t rest_us, Sample* out, Timed* timed,
                Failure* failure) {
  const uint64_t min_count = phase.min_count;
  const uint64_t max_count = phase.max_count;
  const int64_t begin = now_ns();
  const int64_t until = begin + static_cast<int64_t>(phase.min_ms) * 1000000;
  int64_t end = begin;
  uint64_t count = 0;
  // Nothing in this loop but the call, two clock reads and one store (and a rest that was asked for): no allocation, no
  // write, no print.
  while (count < max_count && (count < min_count || end < until)) {
    if (rests) rest(rest_us);
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

bool time_phase(Pipeline* pipeline, const PhasePlan& phase, const Plan& plan, Sample* out, Timed* timed, Failure* failure) {
  if (plan.rest_us > 0) return time_calls<false, true>(pipeline, phase, 0, plan.rest_us, out, timed, failure);
  if (plan.spin_percent > 0)
    return time_calls<true, false>(pipeline, phase, plan.spin_percent / 100, 0, out, timed, failure);
  return time_calls<false, false>(pipeline, phase, 0, 0, out, timed, failure);
}

void rest(uint64_t microseconds) {
  timespec left = {static_cast<time_t>(microseconds / 1000000), static_cast<long>(microseconds % 1000000 * 1000)};
  while (nanosleep(&left, &left) != 0) {
  }
}

}  // namespace edgebench
