// Which CPUs the worker and the threads of its runtime run on.
#pragma once

#include <vector>

#include "failure.h"

namespace edgebench {

// Confines this process; threads made later inherit it. Done before a runtime is loaded.
bool confine(const std::vector<int>& cpus, Failure* failure);

// Gives each thread a CPU of its own, where the process has exactly `threads` threads and there are that many
// CPUs; with any other number some thread is not the runtime's pool, and the common mask stays.
void spread_threads(const std::vector<int>& cpus, int threads);

// The number of threads of this process, 0 where it cannot be told.
int thread_count();

}  // namespace edgebench
