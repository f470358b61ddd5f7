// The questions that need no plan: what a model takes and gives, and what this runner is.
#pragma once

#include <string>

#include "job.h"

namespace edgebench {

int describe_command(const std::string& model, const std::string& runtime, const std::string& lib_dir);
int kernels_command(const std::string& runtime, const std::string& lib_dir);
// An empty runtime means all of them.
int hello_command(const std::string& runtime, const std::string& lib_dir);

// The same without processes of our own: in the one that this is called in, which is of no use afterwards.
int describe_here(const std::string& model, const std::string& runtime, const std::string& lib_dir, Channel* channel);
int hello_here(const std::string& lib_dir, const std::string& notes_dir, Channel* channel);

}  // namespace edgebench
