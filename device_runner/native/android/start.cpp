// What an NDK's start-up object does: from the kernel's stack to main by way of bionic's __libc_init, and the note that
// says which Android this was built for. The device's linker runs the constructors itself, before _start.
#include <cstdint>

namespace {

// Arrays of functions that the C library would run, and how many (newer ones look at that): none, see above.
struct Structors {
  const void* arrays[3];
  uint64_t counts[3];
};

struct Note {
  int32_t name_bytes, content_bytes, type;
  char name[8];
  int32_t api;
};
[[gnu::used, gnu::section(".note.android.ident"), gnu::aligned(4)]] const Note kIdent = {8, 4, 1, "Android", __ANDROID_API__};

}  // namespace

extern "C" [[gnu::used, gnu::visibility("hidden")]] const Structors edgebench_structors = {};

// __libc_init(raw stack, nothing to call at exit, main, structors), which does not return.
#if defined(__aarch64__)
__asm__(
    ".text\n.globl _start\n.type _start,%function\n_start:\n"
    "  mov x29, #0\n  mov x30, #0\n  mov x0, sp\n  mov x1, #0\n"
    "  adrp x2, main\n  add x2, x2, :lo12:main\n"
    "  adrp x3, edgebench_structors\n  add x3, x3, :lo12:edgebench_structors\n"
    "  bl __libc_init\n  brk #0\n");
#elif defined(__x86_64__)
__asm__(
    ".text\n.globl _start\n.type _start,%function\n_start:\n"
    "  xorl %ebp, %ebp\n  movq %rsp, %rdi\n  xorl %esi, %esi\n"
    "  leaq main(%rip), %rdx\n  leaq edgebench_structors(%rip), %rcx\n"
    "  andq $-16, %rsp\n  call __libc_init@PLT\n  ud2\n");
#endif
