#include "token.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "frame.h"

namespace edgebench {

namespace {

bool is_token(const std::string& text) {
  for (char c : text)
    if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-')) return false;
  return text.size() >= kLeastToken && text.size() <= kMostToken;
}

bool open_private(const Directory& dir, const std::string& name, int* fd, Failure* failure) {
  struct stat info;
  *fd = openat(dir.fd, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (*fd < 0) return fail(failure, Code::input_missing, "token_file: %s: %s", name.c_str(), strerror(errno));
  if (fstat(*fd, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 077) == 0) return true;
  close(*fd);
  return fail(failure, Code::plan_invalid, "token_file: %s must be a file that nobody but its owner may read (chmod 600)",
              name.c_str());
}

}  // namespace

bool read_token(const Directory& dir, const std::string& file, bool remove, std::string* out, Failure* failure) {
  int fd = STDIN_FILENO;
  if (!file.empty() && !open_private(dir, file, &fd, failure)) return false;
  std::string line;
  char c = 0;
  ssize_t got = 0;
  // One byte at a time: on a terminal or a pipe, what follows the line is not ours.
  while (line.size() <= kMostToken && ((got = read(fd, &c, 1)) == 1 || (got < 0 && errno == EINTR)))
    if (got == 1) {
      if (c == '\n') break;
      line += c;
    }
  if (!file.empty()) {
    close(fd);
    if (remove) unlinkat(dir.fd, file.c_str(), 0);
  }
  if (!is_token(line))
    return fail(failure, Code::plan_invalid, "the token must be a line of %zu to %zu characters of 0-9 A-Z a-z _ -", kLeastToken,
                kMostToken);
  *out = line;
  return true;
}

bool random_bytes(void* out, size_t count, Failure* failure) {
  const int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  const bool done = fd >= 0 && read(fd, out, count) == static_cast<ssize_t>(count);
  if (fd >= 0) close(fd);
  return done || fail(failure, Code::internal, "/dev/urandom: %s", strerror(errno));
}

}  // namespace edgebench
