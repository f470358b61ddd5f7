#include "samples.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace edgebench {

namespace {

struct Header {
  char magic[4];
  uint32_t version;
  uint64_t warmup_capacity;
  uint64_t steady_capacity;
  uint64_t streams;  // 0 is 1
};
static_assert(sizeof(Header) == 32 && sizeof(Sample) == 16, "the layout is part of the protocol");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian");

// Samples are written in order, so the written ones are a prefix: a binary search finds its end.
uint64_t written(int fd, uint64_t first_byte, uint64_t capacity) {
  uint64_t low = 0, high = capacity;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    Sample sample;
    if (!read_at(fd, &sample, sizeof sample, first_byte + middle * sizeof sample)) return low;
    if (sample.elapsed_ns != 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

}  // namespace

bool SampleFile::create(const Directory& dir, uint64_t warmup_capacity, uint64_t steady_capacity, uint64_t streams,
                        Failure* failure) {
  int fd = -1;
  if (!create_file(dir.fd, kSamplesName, &fd, failure)) return false;
  size_t bytes = sizeof(Header) + sizeof(Sample) * (warmup_capacity + steady_capacity) * streams;
  // The blocks themselves, not a hole: a full disk must show now and not as a signal in the middle of a phase.
  int error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  if (error != 0) {
    close(fd);
    return fail(failure, Code::output_failed, "%s: %s", kSamplesName, strerror(error));
  }
  void* map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  error = errno;
  close(fd);
  if (map == MAP_FAILED) return fail(failure, Code::output_failed, "%s: %s", kSamplesName, strerror(error));
  memset(map, 0, bytes);  // every page is there and writable before the first sample
  Header header = {{'E', 'D', 'G', 'S'}, 1, warmup_capacity, steady_capacity, streams > 1 ? streams : 0};
  memcpy(map, &header, sizeof header);
  first_ = reinterpret_cast<Sample*>(static_cast<char*>(map) + sizeof(Header));
  warmup_capacity_ = warmup_capacity;
  steady_capacity_ = steady_capacity;
  return true;
}

SampleCounts count_samples(int dir_fd) {
  SampleCounts counts;
  int fd = openat(dir_fd, kSamplesName, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return counts;
  Header header;
  struct stat info;
  constexpr uint64_t kSane = uint64_t{1} << 32;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && read_at(fd, &header, sizeof header, 0) &&
      memcmp(header.magic, "EDGS", 4) == 0 && header.version == 1 && header.warmup_capacity < kSane &&
      header.steady_capacity < kSane && header.streams <= kMaxStreams) {
    uint64_t at = sizeof header;
    for (uint64_t stream = 0; stream < (header.streams == 0 ? 1 : header.streams); ++stream) {
      counts.warmup += written(fd, at, header.warmup_capacity);
      at += header.warmup_capacity * sizeof(Sample);
      counts.steady += written(fd, at, header.steady_capacity);
      at += header.steady_capacity * sizeof(Sample);
    }
  }
  close(fd);
  return counts;
}

}  // namespace edgebench
