#include "failure.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace edgebench {

const char* code_name(Code code) {
  switch (code) {
    case Code::none: return "none";
    case Code::plan_missing: return "plan_missing";
    case Code::plan_invalid: return "plan_invalid";
    case Code::path_outside: return "path_outside";
    case Code::input_missing: return "input_missing";
    case Code::input_size: return "input_size";
    case Code::model_missing: return "model_missing";
    case Code::model_invalid: return "model_invalid";
    case Code::signature_mismatch: return "signature_mismatch";
    case Code::unsupported_dtype: return "unsupported_dtype";
    case Code::library_missing: return "library_missing";
    case Code::runtime_error: return "runtime_error";
    case Code::output_failed: return "output_failed";
    case Code::worker_died: return "worker_died";
    case Code::time_limit: return "time_limit";
    case Code::memory_limit: return "memory_limit";
    case Code::cancelled: return "cancelled";
    case Code::busy: return "busy";
    case Code::denied: return "denied";
    case Code::link_lost: return "link_lost";
    case Code::internal: return "internal";
  }
  return "internal";
}

Code code_from_name(const char* name) {
  for (int code = 0; code <= static_cast<int>(Code::internal); ++code)
    if (strcmp(code_name(static_cast<Code>(code)), name) == 0) return static_cast<Code>(code);
  return Code::internal;
}

int exit_code(Code code) {
  switch (code) {
    case Code::none: return 0;
    case Code::plan_missing:
    case Code::plan_invalid:
    case Code::path_outside:
    case Code::input_missing:
    case Code::input_size:
    case Code::model_missing:
    case Code::signature_mismatch:
    case Code::unsupported_dtype:
    case Code::busy:
    case Code::denied: return 2;
    case Code::model_invalid:
    case Code::library_missing:
    case Code::runtime_error:
    case Code::output_failed: return 3;
    case Code::worker_died: return 4;
    case Code::time_limit:
    case Code::memory_limit: return 5;
    case Code::cancelled: return 6;
    case Code::link_lost: return 7;
    case Code::internal: return 1;
  }
  return 1;
}

bool fail(Failure* failure, Code code, const char* format, ...) {
  if (failure == nullptr) return false;
  failure->code = code;
  va_list args;
  va_start(args, format);
  vsnprintf(failure->message, sizeof failure->message, format, args);
  va_end(args);
  return false;
}

}  // namespace edgebench
