// The secret that both sides of a link know. Never in an argument, an event or a message.
#pragma once

#include <string>

#include "failure.h"
#include "paths.h"

namespace edgebench {

// From a file beside the plan that only its owner may read, removed then where `remove`; or, with an empty name, the only line
// of stdin.
bool read_token(const Directory& dir, const std::string& file, bool remove, std::string* out, Failure* failure);

// Bytes that nobody can guess.
bool random_bytes(void* out, size_t count, Failure* failure);

}  // namespace edgebench
