#include "paths.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

namespace edgebench {

namespace {

bool resolve(const std::string& path, std::string* out) {
  char* real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return false;
  *out = real;
  free(real);
  return true;
}

bool within(const std::string& directory, const std::string& path) {
  if (directory == "/") return true;
  return path.compare(0, directory.size(), directory) == 0 && path[directory.size()] == '/';
}

// Where the open file really is: the answer holds even if a link was exchanged after it was looked at.
std::string opened_path(int fd, const std::string& otherwise) {
  char link[PATH_MAX];
  std::string name = "/proc/self/fd/" + std::to_string(fd);
  ssize_t n = readlink(name.c_str(), link, sizeof link);
  if (n <= 0 || n == static_cast<ssize_t>(sizeof link) || link[0] != '/') return otherwise;
  return std::string(link, static_cast<size_t>(n));
}

bool open_regular(const std::string& shown, const std::string& real, FileCodes codes, OpenFile* out,
                  Failure* failure) {
  // Not blocking, so that a fifo cannot hold us up; it is refused below.
  int fd = open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return fail(failure, codes.missing, "%s: %s", shown.c_str(), strerror(errno));
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    return fail(failure, codes.unusable, "%s is not a regular file", shown.c_str());
  }
  out->fd = fd;
  out->bytes = static_cast<uint64_t>(info.st_size);
  out->real = opened_path(fd, real);
  return true;
}

}  // namespace

bool open_directory(const std::string& path, Code missing, Directory* out, Failure* failure) {
  if (!resolve(path, &out->real)) return fail(failure, missing, "%s: %s", path.c_str(), strerror(errno));
  out->fd = open(out->real.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (out->fd < 0) return fail(failure, missing, "%s: %s", path.c_str(), strerror(errno));
  return true;
}

bool is_confined(const std::string& path) {
  if (path.empty() || path.size() > 1024 || path[0] == '/') return false;
  if (path.find('\0') != std::string::npos || path.find('\\') != std::string::npos) return false;
  size_t start = 0;
  while (start <= path.size()) {
    size_t end = path.find('/', start);
    if (end == std::string::npos) end = path.size();
    std::string part = path.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    start = end + 1;
  }
  return true;
}

bool open_inside(const Directory& dir, const std::string& path, FileCodes codes, OpenFile* out, Failure* failure) {
  if (!is_confined(path))
    return fail(failure, Code::path_outside, "%s: a path is relative and stays in the plan's directory", path.c_str());
  std::string real;
  if (!resolve(dir.real + "/" + path, &real))
    return fail(failure, codes.missing, "%s: %s", path.c_str(), strerror(errno));
  if (!within(dir.real, real))
    return fail(failure, Code::path_outside, "%s leads out of the plan's directory", path.c_str());
  if (!open_regular(path, real, codes, out, failure)) return false;
  if (!within(dir.real, out->real)) {
    close(out->fd);
    return fail(failure, Code::path_outside, "%s leads out of the plan's directory", path.c_str());
  }
  return true;
}

bool open_anywhere(const std::string& path, FileCodes codes, OpenFile* out, Failure* failure) {
  std::string real;
  if (!resolve(path, &real)) return fail(failure, codes.missing, "%s: %s", path.c_str(), strerror(errno));
  return open_regular(path, real, codes, out, failure);
}

bool make_directories(const Directory& dir, const std::string& path, int* out, Failure* failure) {
  if (!is_confined(path))
    return fail(failure, Code::path_outside, "%s: a path is relative and stays in the plan's directory", path.c_str());
  int at = dup(dir.fd);
  size_t start = 0;
  while (at >= 0 && start < path.size()) {
    size_t end = path.find('/', start);
    if (end == std::string::npos) end = path.size();
    std::string part = path.substr(start, end - start);
    struct stat info;
    if (fstatat(at, part.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode)) {
      close(at);
      return fail(failure, Code::path_outside, "%s: %s is a symbolic link", path.c_str(), part.c_str());
    }
    mkdirat(at, part.c_str(), 0755);  // it may be there; the open below decides
    int next = openat(at, part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = errno;
    close(at);
    at = next;
    errno = error;
    start = end + 1;
  }
  if (at < 0) return fail(failure, Code::output_failed, "%s: %s", path.c_str(), strerror(errno));
  *out = at;
  return true;
}

bool create_file(int dir_fd, const char* name, int* out, Failure* failure) {
  unlinkat(dir_fd, name, 0);
  *out = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (*out < 0) return fail(failure, Code::output_failed, "%s: %s", name, strerror(errno));
  return true;
}

bool read_all(int fd, size_t limit, std::string* out) {
  char block[65536];
  for (;;) {
    ssize_t n = read(fd, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) return true;
    if (out->size() + static_cast<size_t>(n) > limit) return false;
    out->append(block, static_cast<size_t>(n));
  }
}

bool read_at(int fd, void* data, size_t bytes, uint64_t offset) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    ssize_t n = pread(fd, at, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    bytes -= static_cast<size_t>(n);
    offset += static_cast<uint64_t>(n);
  }
  return true;
}

}  // namespace edgebench
