#include "affinity.h"

#include <dirent.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace edgebench {

namespace {

std::vector<pid_t> threads_of_process() {
  std::vector<pid_t> ids;
  DIR* directory = opendir("/proc/self/task");
  if (directory == nullptr) return ids;
  while (dirent* entry = readdir(directory)) {
    pid_t id = static_cast<pid_t>(atoi(entry->d_name));
    if (id > 0) ids.push_back(id);
  }
  closedir(directory);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace

int thread_count() { return static_cast<int>(threads_of_process().size()); }

bool confine(const std::vector<int>& cpus, Failure* failure) {
  if (cpus.empty()) return true;
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  for (int cpu : cpus) CPU_SET(static_cast<size_t>(cpu), &wanted);
  if (sched_setaffinity(0, sizeof wanted, &wanted) != 0)
    return fail(failure, Code::plan_invalid, "affinity: %s", strerror(errno));
  // The kernel silently leaves out CPUs that are not there.
  cpu_set_t given;
  CPU_ZERO(&given);
  if (sched_getaffinity(0, sizeof given, &given) != 0)
    return fail(failure, Code::plan_invalid, "affinity: %s", strerror(errno));
  for (int cpu : cpus)
    if (!CPU_ISSET(static_cast<size_t>(cpu), &given))
      return fail(failure, Code::plan_invalid, "affinity: this device gives us no CPU %d", cpu);
  return true;
}

void spread_threads(const std::vector<int>& cpus, int threads) {
  std::vector<pid_t> ids = threads_of_process();
  size_t wanted = static_cast<size_t>(threads);
  if (wanted < 2 || cpus.size() < wanted || ids.size() != wanted) return;
  for (size_t i = 0; i < wanted; ++i) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(cpus[i]), &one);
    sched_setaffinity(ids[i], sizeof one, &one);
  }
}

}  // namespace edgebench
