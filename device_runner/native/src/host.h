// What this program and this device are, for the `hello` line.
#pragma once

#include <string>

namespace edgebench {

const char* abi_name();
std::string build_json();
std::string cpu_json();

}  // namespace edgebench
