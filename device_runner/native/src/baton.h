// Several processes that work in turns on one device: whose turn it is, in memory that they share.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace edgebench {

constexpr size_t kMostInTurns = 8;

// The two phases in which turns are taken.
enum class Round : int { warmup, steady };

class Baton {
 public:
  // For so many processes, the first of which has the first turn. Until they join, each is known by who calls. Shared with the processes forked from here on; nullptr
  // where there is no memory. It is never freed: it lives as long as the last of them.
  static Baton* make(size_t count);

  // `place` is there as long as the process is.
  void join(size_t place, pid_t pid);
  // `place` takes no turn any more, and holds nobody up.
  void leave(size_t place);
  // Waits until it is the turn of `place`. One that has left or died is passed over.
  void take(size_t place);
  // Ends the turn of `place`.
  void pass(size_t place);

  // `place` has what it needs of a round.
  void meet(size_t place, Round round);
  // Whether all have, or are gone.
  bool all_met(Round round) const;
  // Whether one of them is gone.
  bool any_gone() const;

 private:
  bool gone(size_t place) const;
  size_t after(size_t place, size_t self) const;
  void give(size_t place);

  // Each has one writer at a time: a counter would need the atomics that GCC and Clang leave to a library on ARM.
  std::atomic<int32_t> turn_{0};
  std::atomic<pid_t> pids_[kMostInTurns] = {};
  std::atomic<bool> left_[kMostInTurns] = {};
  std::atomic<bool> met_[2][kMostInTurns] = {};
  size_t count_ = 0;
};

// A process's part in it.
struct Turns {
  Baton* baton = nullptr;  // nullptr: it works alone
  size_t place = 0;
};

}  // namespace edgebench
