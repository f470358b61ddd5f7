#include "socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace edgebench {

namespace {

constexpr int kBacklog = 16;

struct Endpoint {
  sockaddr_storage storage = {};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

uint16_t network_order(uint16_t port) { return static_cast<uint16_t>(port << 8 | port >> 8); }

bool endpoint(const Address& address, Endpoint* out) {
  sockaddr_in four = {};
  sockaddr_in6 six = {};
  if (inet_pton(AF_INET, address.host.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = network_order(address.port);
    memcpy(&out->storage, &four, sizeof four);
    out->length = sizeof four;
    return true;
  }
  if (inet_pton(AF_INET6, address.host.c_str(), &six.sin6_addr) == 1) {
    six.sin6_family = AF_INET6;
    six.sin6_port = network_order(address.port);
    memcpy(&out->storage, &six, sizeof six);
    out->length = sizeof six;
    return true;
  }
  return false;
}

bool lost(Failure* failure, const char* what) {
  const bool stalled = errno == EAGAIN || errno == EWOULDBLOCK;
  return fail(failure, Code::link_lost, "%s: %s", what, stalled ? "the other side stalled" : strerror(errno));
}

// Moves `done` bytes on in a list of parts.
void advance(iovec** parts, int* count, size_t done) {
  while (*count > 0 && done >= (*parts)->iov_len) {
    done -= (*parts)->iov_len;
    ++*parts;
    --*count;
  }
  if (*count == 0) return;
  (*parts)->iov_base = static_cast<char*>((*parts)->iov_base) + done;
  (*parts)->iov_len -= done;
}

}  // namespace

bool is_numeric_host(const std::string& host) {
  Endpoint unused;
  return endpoint({host, 0}, &unused);
}

bool parse_address(const std::string& text, Address* out) {
  std::string host = text, port;
  if (!text.empty() && text[0] == '[') {
    const size_t end = text.find(']');
    if (end == std::string::npos) return false;
    host = text.substr(1, end - 1);
    if (end + 1 < text.size()) {
      if (text[end + 1] != ':') return false;
      port = text.substr(end + 2);
    }
  } else if (const size_t colon = text.find(':'); colon != std::string::npos && text.find(':', colon + 1) == std::string::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  unsigned number = 0;
  for (char c : port) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
    if (number > 65535) return false;
  }
  if (!is_numeric_host(host)) return false;
  *out = {host, static_cast<uint16_t>(number)};
  return true;
}

bool listen_on(Address* address, int* fd, Failure* failure) {
  Endpoint at;
  if (!endpoint(*address, &at))
    return fail(failure, Code::plan_invalid, "%s is no numeric address", address->host.c_str());
  const int made = socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int one = 1;
  if (made >= 0) setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  Endpoint bound;
  bound.length = sizeof bound.storage;
  if (made < 0 || bind(made, at.get(), at.length) != 0 || listen(made, kBacklog) != 0 ||
      getsockname(made, reinterpret_cast<sockaddr*>(&bound.storage), &bound.length) != 0) {
    fail(failure, Code::plan_invalid, "cannot listen on %s port %d: %s", address->host.c_str(), address->port,
         strerror(errno));
    if (made >= 0) close(made);
    return false;
  }
  sockaddr_in four;
  sockaddr_in6 six;
  memcpy(&four, &bound.storage, sizeof four);
  memcpy(&six, &bound.storage, sizeof six);
  address->port = network_order(bound.family() == AF_INET ? four.sin_port : six.sin6_port);
  *fd = made;
  return true;
}

bool connect_to(const Address& address, int64_t milliseconds, int* fd, Failure* failure) {
  Endpoint to;
  if (!endpoint(address, &to))
    return fail(failure, Code::plan_invalid, "%s is no numeric address", address.host.c_str());
  const int made = socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (made < 0) return lost(failure, "socket");
  int error = connect(made, to.get(), to.length) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd ready = {made, POLLOUT, 0};
    socklen_t size = sizeof error;
    error = poll(&ready, 1, static_cast<int>(milliseconds)) == 1 ? 0 : ETIMEDOUT;
    if (error == 0) getsockopt(made, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) {
    close(made);
    return fail(failure, Code::link_lost, "no connection to %s port %d: %s", address.host.c_str(), address.port,
                strerror(error));
  }
  fcntl(made, F_SETFL, 0);
  *fd = made;
  return true;
}

void prepare_socket(int fd, double stall_seconds) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  const double whole = static_cast<double>(static_cast<int64_t>(stall_seconds));
  timeval limit = {};
  limit.tv_sec = static_cast<time_t>(whole);
  limit.tv_usec = static_cast<suseconds_t>((stall_seconds - whole) * 1e6);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

bool send_parts(int fd, iovec* parts, int count, Failure* failure) {
  advance(&parts, &count, 0);
  while (count > 0) {
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
    const ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return lost(failure, "sending");
    advance(&parts, &count, static_cast<size_t>(sent));
  }
  return true;
}

bool receive_parts(int fd, iovec* parts, int count, Failure* failure) {
  advance(&parts, &count, 0);
  while (count > 0) {
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
    const ssize_t got = recvmsg(fd, &message, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) return fail(failure, Code::link_lost, "the other side closed the connection");
    if (got < 0) return lost(failure, "receiving");
    advance(&parts, &count, static_cast<size_t>(got));
  }
  return true;
}

bool send_bytes(int fd, const void* data, size_t bytes, Failure* failure) {
  iovec part = {const_cast<void*>(data), bytes};
  return send_parts(fd, &part, 1, failure);
}

bool receive_bytes(int fd, void* data, size_t bytes, Failure* failure) {
  iovec part = {data, bytes};
  return receive_parts(fd, &part, 1, failure);
}

}  // namespace edgebench
