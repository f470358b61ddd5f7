// Without an NDK the sources are compiled with musl's C headers. Where bionic's binary interface differs from what those
// say, it is put right here: the linker's --wrap leads each such call through. The rest of what is used is the same in
// both (64-bit only): the kernel's structures, the flags of files, memory and signals, and the size of a cpu_set_t.
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include <__config>

extern "C" {

int* __errno(void);

// musl's name for it
int* __errno_location(void) { return __errno(); }

// Other numbers than musl's.
long __real_sysconf(int name);
long __wrap_sysconf(int name) {
  constexpr int kPageSize = 0x27, kProcessorsOnline = 0x61;
  switch (name) {
    case _SC_PAGESIZE: return __real_sysconf(kPageSize);
    case _SC_NPROCESSORS_ONLN: return __real_sysconf(kProcessorsOnline);
    default: abort();  // not one that the runner asks for
  }
}

// Another order of members, and a set of 64 signals instead of 1024.
struct BionicAction {
  int flags;
  void (*handler)(int);
  unsigned long mask;
  void (*restorer)(void);
};
int __real_sigaction(int signal, const BionicAction* action, BionicAction* old);
int __wrap_sigaction(int signal, const struct sigaction* action, struct sigaction* old) {
  if (action == nullptr || old != nullptr) abort();  // the runner only sets
  BionicAction theirs = {action->sa_flags, action->sa_handler, 0, nullptr};
  memcpy(&theirs.mask, &action->sa_mask, sizeof theirs.mask);
  return __real_sigaction(signal, &theirs, nullptr);
}

void __cxa_pure_virtual(void) { abort(); }

}  // extern "C"

#if defined(__aarch64__)
// zig's clang calls out for an atomic operation, so that newer CPUs may do it in one instruction, and what it calls is in
// a library that is not linked. The one operation that is asked for is a shared pointer's.
__asm__(
    ".text\n.globl __aarch64_ldadd8_acq_rel\n.hidden __aarch64_ldadd8_acq_rel\n.type __aarch64_ldadd8_acq_rel,%function\n"
    "__aarch64_ldadd8_acq_rel:\n"
    "1: ldaxr x16, [x1]\n  add x17, x16, x0\n  stlxr w15, x17, [x1]\n  cbnz w15, 1b\n  mov x0, x16\n  ret\n");
#endif

// The C++ library is built without exceptions: what would throw ends the process, and the supervisor reports it.
namespace {
[[noreturn]] void give_up(const char* why) {
  fprintf(stderr, "edgebench: %s\n", why);
  abort();
}
}  // namespace

void* operator new(size_t bytes) {
  void* memory = malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) give_up("out of memory");
  return memory;
}
void* operator new[](size_t bytes) { return operator new(bytes); }
void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t) noexcept { free(memory); }

_LIBCPP_BEGIN_NAMESPACE_STD
void __libcpp_verbose_abort(const char* format, ...) noexcept {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  give_up("the C++ library gave up");
}
_LIBCPP_END_NAMESPACE_STD
