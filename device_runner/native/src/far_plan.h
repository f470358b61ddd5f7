// What a plan says of the other side of a link: where a far stage is, or how this side serves.
#pragma once

#include <string>

#include "failure.h"
#include "json.h"
#include "sha256.h"
#include "socket.h"

namespace edgebench {

constexpr uint64_t kMaxRestUs = 60000000;  // a minute

struct FarPlan {
  bool wanted = false;
  Address address;
  Digest plan;             // of the far side's plan, byte for byte
  std::string token_file;  // empty: the token is a line of stdin
  double connect_seconds = 10;
  double reconnect_seconds = 20;
  double stall_seconds = 30;
};

struct ServePlan {
  bool wanted = false;
  std::string token_file;
  size_t clients = 1;  // the one being served, and those that wait
  bool queue = false;
  double idle_seconds = 120;
  double stall_seconds = 30;
};

// How the link to a far side is measured.
struct LinkPlan {
  FarPlan far;
  uint64_t echoes = 50;
  uint64_t echo_bytes = 0;
  uint64_t bytes = 1u << 20;  // of one round, each way
  uint64_t rounds = 3;
  uint64_t rest_us = 0;      // idle before each echo and each round
  double most_seconds = 10;  // after which nothing further is begun
};

bool parse_far(const Json& json, const std::string& where, FarPlan* out, Failure* failure);
bool parse_serve(const Json& json, const std::string& where, ServePlan* out, Failure* failure);
bool parse_link(const std::string& text, LinkPlan* out, Failure* failure);

}  // namespace edgebench
