// What Debian's adbd lacks of an Android around it, preloaded into it: system properties from a file, and listening sockets
// on the loopback interface only (it is a root shell, and this is somebody's machine).
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string>

namespace {

constexpr const char* kProperties = "/system/build.prop";

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

// programs that adbd starts are the device's own: they must not carry it
__attribute__((constructor)) void leave_no_trace() { unsetenv("LD_PRELOAD"); }

}  // namespace

namespace android::base {

__attribute__((visibility("default"))) std::string GetProperty(const std::string& key, const std::string& fallback) {
  std::ifstream file(kProperties);
  for (std::string line; std::getline(file, line);) {
    const auto equals = line.find('=');
    if (equals != std::string::npos && line.compare(0, equals, key) == 0) return line.substr(equals + 1);
  }
  return fallback;
}

}  // namespace android::base

// adbd would listen on the virtual machine sockets too, which no namespace keeps apart
extern "C" int socket(int domain, int type, int protocol) noexcept {
  if (domain == AF_VSOCK) {
    errno = EAFNOSUPPORT;
    return -1;
  }
  return next<int (*)(int, int, int)>("socket")(domain, type, protocol);
}

extern "C" int bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  const auto real = next<int (*)(int, const sockaddr*, socklen_t)>("bind");
  sockaddr_in narrowed{};
  sockaddr_in6 narrowed6{};
  if (address->sa_family == AF_INET) {
    narrowed = *reinterpret_cast<const sockaddr_in*>(address);
    narrowed.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return real(fd, reinterpret_cast<const sockaddr*>(&narrowed), sizeof narrowed);
  }
  if (address->sa_family == AF_INET6) {
    narrowed6 = *reinterpret_cast<const sockaddr_in6*>(address);
    // a v4 address in v6 clothes: clients come over 127.0.0.1
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &narrowed6.sin6_addr);
    return real(fd, reinterpret_cast<const sockaddr*>(&narrowed6), sizeof narrowed6);
  }
  return real(fd, address, size);
}
