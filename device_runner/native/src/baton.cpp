#include "baton.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <new>

#include "process.h"

namespace edgebench {

namespace {

// How often who waits looks whether the one it waits for has died; a turn that is passed on wakes it at once.
constexpr timespec kLook = {0, 100000000};

int futex(std::atomic<int32_t>* word, int operation, int32_t value, const timespec* timeout) {
  static_assert(sizeof(std::atomic<int32_t>) == sizeof(int32_t), "a futex is a plain word");
  return static_cast<int>(syscall(SYS_futex, reinterpret_cast<int32_t*>(word), operation, value, timeout, nullptr, 0));
}

}  // namespace

Baton* Baton::make(size_t count) {
  void* map = mmap(nullptr, sizeof(Baton), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return nullptr;
  Baton* baton = new (map) Baton;
  baton->count_ = count;
  for (size_t place = 0; place < count; ++place) baton->join(place, getpid());
  return baton;
}

void Baton::join(size_t place, pid_t pid) { pids_[place].store(pid); }

void Baton::leave(size_t place) {
  left_[place].store(true);
  pass(place);
}

bool Baton::gone(size_t place) const {
  if (left_[place].load()) return true;
  return kill(pids_[place].load(), 0) != 0 && errno == ESRCH;
}

// Whose turn is after that of `place`: its own where all others are gone. `self`, who asks, is not gone.
size_t Baton::after(size_t place, size_t self) const {
  for (size_t step = 1; step < count_; ++step) {
    const size_t next = (place + step) % count_;
    if (next == self || !gone(next)) return next;
  }
  return place;
}

void Baton::give(size_t place) {
  turn_.store(static_cast<int32_t>(place));
  futex(&turn_, FUTEX_WAKE, INT_MAX, nullptr);
}

void Baton::take(size_t place) {
  for (;;) {
    const int32_t now = turn_.load();
    const size_t holder = static_cast<size_t>(now);
    if (holder == place) return;
    // Of those that wait only the next one may take what a dead one held, so no two do.
    if (gone(holder) && after(holder, place) == place) return give(place);
    // One that is dead and that nobody has waited for is still there by its number.
    if (futex(&turn_, FUTEX_WAIT, now, &kLook) != 0 && errno == ETIMEDOUT && has_ended(pids_[holder].load()))
      left_[holder].store(true);
  }
}

void Baton::pass(size_t place) {
  if (turn_.load() == static_cast<int32_t>(place)) give(after(place, place));
}

void Baton::meet(size_t place, Round round) { met_[static_cast<int>(round)][place].store(true); }

bool Baton::all_met(Round round) const {
  for (size_t place = 0; place < count_; ++place)
    if (!met_[static_cast<int>(round)][place].load() && !gone(place)) return false;
  return true;
}

bool Baton::any_gone() const {
  for (size_t place = 0; place < count_; ++place)
    if (gone(place)) return true;
  return false;
}

}  // namespace edgebench
