// A bare TCP socket that carries so many bytes there and so many back, to hold a framing against:
//   bare_socket serve SENT RECEIVED        prints its port; serves one connection after the other
//   bare_socket ask PORT SENT RECEIVED N   prints N round trips, first byte sent to last byte received, in ns
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <vector>

static long long now_ns() {
  timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static bool give(int fd, const std::vector<char>& data) {
  for (size_t done = 0; done < data.size();) {
    ssize_t count = send(fd, data.data() + done, data.size() - done, MSG_NOSIGNAL);
    if (count <= 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

static bool take(int fd, std::vector<char>* data) {
  for (size_t done = 0; done < data->size();) {
    ssize_t count = recv(fd, data->data() + done, data->size() - done, 0);
    if (count <= 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

int main(int argc, char** argv) {
  const bool serves = argc == 4 && strcmp(argv[1], "serve") == 0;
  if (!serves && !(argc == 6 && strcmp(argv[1], "ask") == 0)) return 2;
  std::vector<char> there(strtoul(argv[serves ? 2 : 3], nullptr, 10), 'x'), back(strtoul(argv[serves ? 3 : 4], nullptr, 10), 'y');
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (serves) {
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) || listen(fd, 4) ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size))
      return 1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
      const int peer = accept(fd, nullptr, nullptr);
      setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      while (take(peer, &there) && give(peer, back)) {
      }
      close(peer);
    }
  }
  address.sin_port = htons(static_cast<unsigned short>(atoi(argv[2])));
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), size)) return 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  for (int i = 0, count = atoi(argv[5]); i < count; ++i) {
    const long long start = now_ns();
    if (!give(fd, there) || !take(fd, &back)) return 1;
    printf("%lld\n", now_ns() - start);
  }
  return 0;
}
