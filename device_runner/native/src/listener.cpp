#include "listener.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "samples.h"

namespace edgebench {

namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kHelloPatience = 5 * kSecond;
constexpr size_t kMostWaiting = 80;   // those that may wait, and some that have said nothing yet
constexpr uint64_t kMostSaid = 1000;  // lines about clients: one that knocks for ever does not fill a disk

void send_frame(int fd, Frame type, const std::vector<uint8_t>& body, const Digest& digest) {
  uint8_t header[kHeaderBytes];
  put_header(header, type, body.size(), digest);
  iovec parts[2] = {{header, sizeof header}, {const_cast<uint8_t*>(body.data()), body.size()}};
  send_parts(fd, parts, 2, nullptr);  // one that is gone is noticed when it is read from
}

// What it has sent and nobody read would turn the close into a reset, and the last frame would not arrive.
void hang_up(int fd) {
  shutdown(fd, SHUT_WR);
  uint8_t rest[4096];
  for (int i = 0; i < 64 && recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0; ++i) {
  }
  close(fd);
}

}  // namespace

bool Listener::open(Address* address, Failure* failure) { return listen_on(address, &door_, failure); }

void Listener::say(const char* what, const char* reason) {
  if (++said_ > kMostSaid) return;
  Line line("client");
  line.text("what", what).number("requests", requests_);
  channel_->send(line.text("reason", reason[0] == '\0' ? nullptr : reason));
}

void Listener::refuse(int fd, Code code, const char* why) {
  Failure failure;
  fail(&failure, code, "%s", why);
  send_frame(fd, Frame::error, put_error(failure), digest_);
  hang_up(fd);
  say("refused", why);
}

void Listener::accept_all() {
  for (;;) {
    Client client;
    client.fd = accept4(door_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client.fd < 0) return;
    if (waiting_.size() >= kMostWaiting) {
      close(client.fd);
      continue;
    }
    prepare_socket(client.fd, plan_.stall_seconds);
    client.deadline_ns = now_ns() + kHelloPatience;
    waiting_.push_back(client);
  }
}

bool Listener::read_hello(Client* client) {
  Header header = {Frame::hello, 0};
  Digest digest;
  for (;;) {
    size_t due = kHeaderBytes;
    if (client->got >= kHeaderBytes) {
      // Of a stranger, not a byte more than a hello has: what it says of its length is looked at first.
      if (!read_header(client->hello, &header, &digest) || header.type != Frame::hello ||
          header.length < kSessionBytes + kLeastToken || header.length > kMostHello) {
        refuse(client->fd, Code::denied, "what came is no hello");
        return false;
      }
      due += header.length;
    }
    if (client->got == due && due > kHeaderBytes) break;
    const ssize_t got = recv(client->fd, client->hello + client->got, due - client->got, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (got <= 0) {
      close(client->fd);
      say("dropped", "it left before it said hello");
      return false;
    }
    client->got += static_cast<size_t>(got);
  }
  const bool known = same_secret(client->hello + kHeaderBytes + kSessionBytes, header.length - kSessionBytes, token_.data(),
                                 token_.size());
  // Both are looked at whatever the first says, and neither is told apart.
  if (!(known & same_secret(digest.bytes, sizeof digest.bytes, digest_.bytes, sizeof digest_.bytes))) {
    refuse(client->fd, Code::denied, "the token or the plan's digest is not the one served here");
    return false;
  }
  client->let_in = true;
  return admit(client);
}

bool Listener::admit(Client* client) {
  if (current_.fd >= 0 && memcmp(current_.session(), client->session(), kSessionBytes) == 0) {
    close(current_.fd);  // its old connection is dead, and only it does not know yet
    say("replaced", "");
    current_.fd = -1;
  }
  if (current_.fd < 0) {
    seat(*client, "joined");
    return false;  // it no longer waits
  }
  size_t waiting = 0;
  for (const Client& other : waiting_)
    if (other.fd >= 0 && other.let_in) ++waiting;  // with this one
  if (plan_.queue && waiting < plan_.clients) return true;
  refuse(client->fd, Code::busy, "another client is being served");
  return false;
}

void Listener::seat(const Client& client, const char* what) {
  current_ = client;
  requests_ = 0;
  fcntl(current_.fd, F_SETFL, 0);
  send_frame(current_.fd, Frame::welcome, welcome_, digest_);
  say(what, "");
}

void Listener::next() {
  for (size_t i = 0; i < waiting_.size(); ++i) {
    if (!waiting_[i].let_in) continue;
    seat(waiting_[i], "joined");
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
}

void Listener::leave(const char* what, const Failure& failure) {
  if (failure.code != Code::none && failure.code != Code::link_lost)
    send_frame(current_.fd, Frame::error, put_error(failure), digest_);
  hang_up(current_.fd);
  current_.fd = -1;
  say(what, failure.message);
  next();
}

int Listener::wait() {
  int64_t idle_since = now_ns();
  for (;;) {
    std::vector<pollfd> ready = {{door_, POLLIN, 0}, {current_.fd, POLLIN, 0}};  // a negative one is passed over
    for (const Client& client : waiting_) ready.push_back({client.let_in ? -1 : client.fd, POLLIN, 0});
    if (poll(ready.data(), static_cast<nfds_t>(ready.size()), waiting_.empty() && current_.fd >= 0 ? 1000 : 50) < 0 &&
        errno != EINTR)
      return -1;
    const int64_t now = now_ns();
    for (size_t i = 0; i < waiting_.size(); ++i) {
      Client& client = waiting_[i];
      if (client.let_in) continue;
      const bool late = now >= client.deadline_ns;
      if (ready[i + 2].revents == 0 && late) refuse(client.fd, Code::denied, "no hello came in time");
      if (ready[i + 2].revents != 0 ? !read_hello(&client) : late) client.fd = -1;
    }
    waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(), [](const Client& client) { return client.fd < 0; }),
                   waiting_.end());
    if (ready[0].revents != 0) accept_all();
    // Whether it has been replaced meanwhile: then the new one is asked in the next round.
    if (current_.fd >= 0 && ready[1].fd == current_.fd && ready[1].revents != 0) return current_.fd;
    if (static_cast<double>(now - idle_since) <= plan_.idle_seconds * 1e9) continue;
    if (current_.fd < 0 && waiting_.empty()) return -1;
    if (current_.fd >= 0) {  // one whose device lost its power says nothing for ever
      Failure silent;
      fail(&silent, Code::link_lost, "it was silent for %g s", plan_.idle_seconds);
      leave("dropped", silent);
    }
    idle_since = now;
  }
}

}  // namespace edgebench
