// The load, timed with and without the model in the page cache.
#pragma once

#include "job.h"
#include "pipeline.h"

namespace edgebench {

// Sends the `load` event: all models, one after the other. The cold load happens in a process of its own, forked from where the warm one starts, so
// that the two differ in the page cache and in nothing else, and the first leaves nothing behind for the second.
// `not_cold` says why there is to be no cold load; null: there is to be one.
bool timed_load(Channel* channel, Pipeline* pipeline, const char* not_cold, Failure* failure);

}  // namespace edgebench
