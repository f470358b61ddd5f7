// The `cast` adapter: any element type to any other; a value that does not fit is an error.
#pragma once

#include <cstdint>

#include "failure.h"
#include "tensor.h"

namespace edgebench {

bool cast(DType from, const void* source, DType to, void* target, uint64_t count, Failure* failure);

}  // namespace edgebench
