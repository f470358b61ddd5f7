// Preloaded into the runner: counts the calls that must not happen between two samples.
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

std::atomic<long> edgebench_counted{0};

void* malloc(size_t size) { return ++edgebench_counted, __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return ++edgebench_counted, __libc_calloc(count, size); }
void* realloc(void* data, size_t size) { return ++edgebench_counted, __libc_realloc(data, size); }
void free(void* data) { ++edgebench_counted, __libc_free(data); }
int posix_memalign(void** out, size_t alignment, size_t size) {
  ++edgebench_counted;
  *out = __libc_memalign(alignment, size);
  return *out == nullptr;
}
ssize_t write(int fd, const void* data, size_t size) { return ++edgebench_counted, syscall(SYS_write, fd, data, size); }
ssize_t read(int fd, void* data, size_t size) { return ++edgebench_counted, syscall(SYS_read, fd, data, size); }
int nanosleep(const timespec* time, timespec* left) {
  return ++edgebench_counted, static_cast<int>(syscall(SYS_nanosleep, time, left));
}
}
