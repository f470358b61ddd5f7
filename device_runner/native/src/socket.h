// TCP, with a limit to how long anything may stall. Numeric addresses only: no resolver is asked.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "failure.h"

namespace edgebench {

struct Address {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
};

// "127.0.0.1", "127.0.0.1:7000", "[::1]:7000".
bool parse_address(const std::string& text, Address* out);
bool is_numeric_host(const std::string& host);

// Listens; `address` gets the port it came to.
bool listen_on(Address* address, int* fd, Failure* failure);
// One try to connect, at most so many milliseconds; `link_lost` where it does not come about.
bool connect_to(const Address& address, int64_t milliseconds, int* fd, Failure* failure);
// No delay, and nothing stalls for longer: then a read or write fails.
void prepare_socket(int fd, double stall_seconds);

// Everything, or `link_lost`. `parts` is used up.
bool send_parts(int fd, iovec* parts, int count, Failure* failure);
bool receive_parts(int fd, iovec* parts, int count, Failure* failure);
bool send_bytes(int fd, const void* data, size_t bytes, Failure* failure);
bool receive_bytes(int fd, void* data, size_t bytes, Failure* failure);

}  // namespace edgebench
