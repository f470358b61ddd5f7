// What can go wrong, in the words of the protocol. Plain data, so that it crosses a plugin's boundary and
// costs no allocation.
#pragma once

namespace edgebench {

enum class Code {
  none,
  plan_missing,
  plan_invalid,
  path_outside,
  input_missing,
  input_size,
  model_missing,
  model_invalid,
  signature_mismatch,
  unsupported_dtype,
  library_missing,
  runtime_error,
  output_failed,
  worker_died,
  time_limit,
  memory_limit,
  cancelled,
  busy,
  denied,
  link_lost,
  internal,
};

struct Failure {
  Code code = Code::none;
  char message[1000] = "";
};

const char* code_name(Code code);
Code code_from_name(const char* name);  // `internal` for a name that is none
int exit_code(Code code);

// Fills in `failure` and returns false, so that a function can end with `return fail(...)`.
bool fail(Failure* failure, Code code, const char* format, ...) __attribute__((format(printf, 3, 4)));

}  // namespace edgebench
