// The far side's door: who wants in, who is in, who waits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "far_plan.h"
#include "frame.h"
#include "job.h"

namespace edgebench {

class Listener {
 public:
  // `welcome` is what a client is told of the plan's tensors. Everything outlives this.
  Listener(const ServePlan& plan, const Digest& digest, const std::string& token, Channel* channel)
      : plan_(plan), digest_(digest), token_(token), channel_(channel) {}

  bool open(Address* address, Failure* failure);
  void welcome_with(const Signature& signature) { welcome_ = put_welcome(signature); }

  // Waits until the client being served has sent something, and gives its socket. -1: nobody has been here for idle_seconds.
  int wait();
  // The client being served sent a frame; it is counted.
  void served() { ++requests_; }
  // It is sent away, with a reason where `failure` has one, and the next one's turn comes.
  void leave(const char* what, const Failure& failure);

 private:
  struct Client {
    int fd = -1;
    int64_t deadline_ns = 0;  // for its hello
    size_t got = 0;
    bool let_in = false;
    uint8_t hello[kHeaderBytes + kMostHello] = {};
    const uint8_t* session() const { return hello + kHeaderBytes; }
  };

  void accept_all();
  // True while the client may stay.
  bool read_hello(Client* client);
  bool admit(Client* client);
  void refuse(int fd, Code code, const char* why);
  void seat(const Client& client, const char* what);
  void next();
  void say(const char* what, const char* reason);

  const ServePlan& plan_;
  const Digest& digest_;
  const std::string& token_;
  Channel* channel_;
  std::vector<uint8_t> welcome_;
  int door_ = -1;
  Client current_;
  std::vector<Client> waiting_;  // who has not said hello yet, and who waits its turn, in the order they came
  uint64_t requests_ = 0;
  uint64_t said_ = 0;
};

}  // namespace edgebench
