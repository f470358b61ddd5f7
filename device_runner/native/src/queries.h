// The questions that need no plan: what a model takes and gives, and what this runner is.
#pragma once

#include <string>

namespace edgebench {

int describe_command(const std::string& model, const std::string& runtime, const std::string& lib_dir);
// An empty runtime means all of them.
int hello_command(const std::string& runtime, const std::string& lib_dir);

}  // namespace edgebench
