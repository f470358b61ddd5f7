// XNNPACK as Android's libraries have it aligns its memory to 32 bytes on x86_64, and some of its AVX-512 kernels load from it
// as if it were to 64 (TensorFlow Lite 2.14: vmovaps of a kernel's parameters). No phone has AVX-512, but an emulator on a PC
// does, and half of all int8 models died there. A program's own symbols come before libc's, on Android as elsewhere.
#include <stddef.h>
#include <stdlib.h>

extern "C" __attribute__((visibility("default"))) void* memalign(size_t alignment, size_t bytes) {
  void* memory = nullptr;
  return posix_memalign(&memory, alignment < 64 ? 64 : alignment, bytes) == 0 ? memory : nullptr;
}
