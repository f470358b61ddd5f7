// Operators of a graph as a runtime's profiler reports them, call after call, added up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../runtime.h"

namespace edgebench {

// Of each inference the operators come in the same order, so an operator is known by its place in it; a name alone can be that
// of many. One that is not what was in its place before (a branch was taken) is looked for, or added.
class OperatorTimes {
 public:
  void begin_inference() { place_ = 0; }

  void add(const char* name, const char* where, uint64_t elapsed_ns) {
    size_t at = place_;
    if (at < entries_.size() && entries_[at].name != name) {
      at = 0;
      while (at < entries_.size() && entries_[at].name != name) ++at;
    }
    if (at == entries_.size()) {
      if (at == kMost) return;
      entries_.push_back({name, where, 0, 0, {}});
    }
    Entry& entry = entries_[at];
    entry.calls += 1;
    entry.elapsed_ns += elapsed_ns;
    if (entry.each.size() < kMostCalls) entry.each.push_back(elapsed_ns);
    place_ = at + 1;
  }

  bool empty() const { return entries_.empty(); }

  void clear() {
    entries_.clear();
    place_ = 0;
  }

  void tell(ProfileSink* sink) const {
    for (const Entry& entry : entries_) {
      std::vector<uint64_t> sorted = entry.each;
      std::sort(sorted.begin(), sorted.end());
      sink->operator_time({entry.name.c_str(), entry.where, entry.calls, entry.elapsed_ns, sorted[sorted.size() / 2]});
    }
  }

 private:
  struct Entry {
    std::string name;
    const char* where;
    uint64_t calls;
    uint64_t elapsed_ns;
    std::vector<uint64_t> each;
  };
  static constexpr size_t kMost = 100000;
  static constexpr size_t kMostCalls = 1000;

  std::vector<Entry> entries_;
  size_t place_ = 0;
};

}  // namespace edgebench
