#include "in_turns.h"

namespace edgebench {

bool time_in_turns(Pipeline* pipeline, const PhasePlan& phase, const Plan& plan, const Turns& turns, Round round, Sample* out,
                   Timed* timed, Failure* failure) {
  Baton* const baton = turns.baton;
  const int64_t turn_ns = static_cast<int64_t>(plan.turn_ms) * 1000000;
  const int64_t min_ns = static_cast<int64_t>(phase.min_ms) * 1000000;
  const double share = plan.spin_percent / 100;
  bool met = false;
  for (;;) {
    baton->pass(turns.place);
    baton->take(turns.place);
    if (met && baton->all_met(round)) return true;
    if (baton->any_gone()) ++timed->alone;
    ++timed->turns;
    if (!pipeline->invoke(failure)) return false;
    const int64_t begin = now_ns();
    int64_t end = begin;
    while (timed->count < phase.max_count && end - begin < turn_ns) {
      const int64_t start = now_ns();
      if (!pipeline->invoke(failure)) return false;
      end = now_ns();
      if (share > 0) {
        const int64_t longer = end + static_cast<int64_t>(static_cast<double>(end - start) * share);
        while (end < longer) end = now_ns();
      }
      out[timed->count] = {start, end > start ? end - start : 1};
      ++timed->count;
    }
    timed->elapsed_ns += end - begin;
    const bool full = timed->count >= phase.max_count;
    met = full || (timed->count >= phase.min_count && timed->elapsed_ns >= min_ns);
    if (met) baton->meet(turns.place, round);
    if (full || (met && baton->all_met(round))) return true;
  }
}

void wait_for_others(const Turns& turns) {
  while (!turns.baton->all_met(Round::steady)) {
    turns.baton->pass(turns.place);
    turns.baton->take(turns.place);
  }
}

}  // namespace edgebench
