#include "samples.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "mapped.h"

namespace edgebench {

namespace {

struct Header {
  char magic[4];
  uint32_t version;
  uint64_t warmup_capacity;
  uint64_t steady_capacity;
  uint64_t streams;  // 0 is 1
};
// On its way to be the sample file.
constexpr char kPackedName[] = ".samples.bin";
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

uint64_t streams_of(const Header& header) { return header.streams == 0 ? 1 : header.streams; }

// The sample file and its header; -1 where there is none, or it is not ours.
int open_samples(int dir_fd, Header* header) {
  int fd = openat(dir_fd, kSamplesName, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return -1;
  struct stat info;
  constexpr uint64_t kSane = uint64_t{1} << 32;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && read_at(fd, header, sizeof *header, 0) &&
      memcmp(header->magic, "EDGS", 4) == 0 && header->version == 1 && header->warmup_capacity < kSane &&
      header->steady_capacity < kSane && header->streams <= kMaxStreams)
    return fd;
  close(fd);
  return -1;
}

// What each stream has written.
void count_streams(int fd, const Header& header, SampleCounts* counts) {
  uint64_t at = sizeof header;
  for (uint64_t stream = 0; stream < streams_of(header); ++stream) {
    counts[stream].warmup = written(fd, at, header.warmup_capacity);
    at += header.warmup_capacity * sizeof(Sample);
    counts[stream].steady = written(fd, at, header.steady_capacity);
    at += header.steady_capacity * sizeof(Sample);
  }
}

bool copy_written(int from, const Header& header, const SampleCounts* counts, int to, const Header& packed) {
  const uint64_t old_stream = (header.warmup_capacity + header.steady_capacity) * sizeof(Sample);
  const uint64_t new_stream = (packed.warmup_capacity + packed.steady_capacity) * sizeof(Sample);
  // What a stream has not written is a hole, which reads as zeros.
  if (ftruncate(to, static_cast<off_t>(sizeof packed + streams_of(packed) * new_stream)) != 0) return false;
  if (!write_at(to, &packed, sizeof packed, 0)) return false;
  for (uint64_t stream = 0; stream < streams_of(header); ++stream) {
    const uint64_t old_byte = sizeof header + stream * old_stream, new_byte = sizeof packed + stream * new_stream;
    if (!copy_bytes(from, old_byte, to, new_byte, counts[stream].warmup * sizeof(Sample)) ||
        !copy_bytes(from, old_byte + header.warmup_capacity * sizeof(Sample), to,
              new_byte + packed.warmup_capacity * sizeof(Sample), counts[stream].steady * sizeof(Sample)))
      return false;
  }
  return true;
}

}  // namespace

bool SampleFile::create(const Directory& dir, uint64_t warmup_capacity, uint64_t steady_capacity, uint64_t streams,
                        Failure* failure) {
  void* map = nullptr;
  const size_t bytes = sizeof(Header) + sizeof(Sample) * (warmup_capacity + steady_capacity) * streams;
  const Header header = {{'E', 'D', 'G', 'S'}, 1, warmup_capacity, steady_capacity, streams > 1 ? streams : 0};
  if (!map_new_file(dir, kSamplesName, bytes, &header, sizeof header, &map, failure)) return false;
  first_ = reinterpret_cast<Sample*>(static_cast<char*>(map) + sizeof(Header));
  warmup_capacity_ = warmup_capacity;
  steady_capacity_ = steady_capacity;
  return true;
}

SampleCounts count_samples(int dir_fd) {
  SampleCounts total, counts[kMaxStreams];
  Header header;
  int fd = open_samples(dir_fd, &header);
  if (fd < 0) return total;
  count_streams(fd, header, counts);
  close(fd);
  for (const SampleCounts& stream : counts) {
    total.warmup += stream.warmup;
    total.steady += stream.steady;
  }
  return total;
}

void pack_samples(int dir_fd) {
  SampleCounts counts[kMaxStreams];
  Header header;
  int from = open_samples(dir_fd, &header);
  if (from < 0) return;
  count_streams(from, header, counts);
  Header packed = header;
  packed.warmup_capacity = packed.steady_capacity = 0;
  for (const SampleCounts& stream : counts) {
    if (stream.warmup > packed.warmup_capacity) packed.warmup_capacity = stream.warmup;
    if (stream.steady > packed.steady_capacity) packed.steady_capacity = stream.steady;
  }
  Failure ignored;
  int to = -1;
  if ((packed.warmup_capacity < header.warmup_capacity || packed.steady_capacity < header.steady_capacity) &&
      create_file(dir_fd, kPackedName, &to, &ignored)) {
    // Under its name only once it is whole: a death in between costs nothing.
    if (!copy_written(from, header, counts, to, packed) || renameat(dir_fd, kPackedName, dir_fd, kSamplesName) != 0)
      unlinkat(dir_fd, kPackedName, 0);
    close(to);
  }
  close(from);
}

}  // namespace edgebench
