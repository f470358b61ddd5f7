/* musl in the place of Android's C library: what Android's programs and libraries take from theirs and musl has not, or
   has under other numbers. Built as liblog.so, which every such program loads before its C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))next(#name))
static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

/* On arm64 bionic has its stack guard 40 bytes after the thread pointer, where musl has the first of the programs' own
   thread-local data: this. */
__attribute__((used)) _Thread_local char room_for_the_stack_guard[64];

/* --- starting --- */
int __libc_start_main(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void));
void __libc_init(void *raw, void (*on_exit)(void), int (*main)(int, char **, char **), const void *structors) {
  long *stack = raw;
  (void)on_exit, (void)structors;
  __libc_start_main(main, (int)stack[0], (char **)(stack + 1), 0, 0, 0);
}
int *__errno(void) { return &errno; }
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso) {
  (void)dso;
  return pthread_atfork(prepare, parent, child);
}

/* --- other numbers and layouts --- */
long sysconf(int name) {
  switch (name) {
    case 6: return NEXT(sysconf)(_SC_CLK_TCK);
    case 39: case 40: return NEXT(sysconf)(_SC_PAGESIZE);
    case 96: return NEXT(sysconf)(_SC_NPROCESSORS_CONF);
    case 97: return NEXT(sysconf)(_SC_NPROCESSORS_ONLN);
    case 98: return NEXT(sysconf)(_SC_PHYS_PAGES);
    case 99: return NEXT(sysconf)(_SC_AVPHYS_PAGES);
    default: errno = EINVAL; return -1;
  }
}
struct bionic_action { int flags; void (*handler)(int); unsigned long mask; void (*restorer)(void); };
int sigaction(int signal, const struct sigaction *given, struct sigaction *old) {
  const struct bionic_action *theirs = (const void *)given;
  struct sigaction ours = {0}, before = {0};
  if (theirs) {
    ours.sa_handler = theirs->handler;
    ours.sa_flags = theirs->flags;
    memcpy(&ours.sa_mask, &theirs->mask, sizeof theirs->mask);
  }
  int result = NEXT(sigaction)(signal, theirs ? &ours : 0, &before);
  if (old) {
    struct bionic_action *out = (void *)old;
    out->flags = before.sa_flags;
    out->handler = before.sa_handler;
    memcpy(&out->mask, &before.sa_mask, sizeof out->mask);
    out->restorer = 0;
  }
  return result;
}

/* --- stdio: before API 23 the streams were an array --- */
enum { BIONIC_FILE_BYTES = 152 };
char __sF[3 * BIONIC_FILE_BYTES];
static FILE *stream(FILE *given) {
  long at = (char *)given - __sF;
  if (at < 0 || at >= (long)sizeof __sF) return given;
  return at / BIONIC_FILE_BYTES == 0 ? stdin : at / BIONIC_FILE_BYTES == 1 ? stdout : stderr;
}
int vfprintf(FILE *file, const char *format, va_list list) { return NEXT(vfprintf)(stream(file), format, list); }
int fprintf(FILE *file, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int result = vfprintf(file, format, list);
  va_end(list);
  return result;
}
size_t fwrite(const void *data, size_t size, size_t count, FILE *file) { return NEXT(fwrite)(data, size, count, stream(file)); }
int fputs(const char *text, FILE *file) { return NEXT(fputs)(text, stream(file)); }
int fputc(int c, FILE *file) { return NEXT(fputc)(c, stream(file)); }
int fflush(FILE *file) { return NEXT(fflush)(file ? stream(file) : 0); }

/* --- the log goes to stderr --- */
int __android_log_vprint(int priority, const char *tag, const char *format, va_list list) {
  dprintf(2, "%d/%s: ", priority, tag ? tag : "");
  vdprintf(2, format, list);
  return dprintf(2, "\n");
}
int __android_log_print(int priority, const char *tag, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int result = __android_log_vprint(priority, tag, format, list);
  va_end(list);
  return result;
}
int __android_log_write(int priority, const char *tag, const char *text) { return dprintf(2, "%d/%s: %s\n", priority, tag, text); }
void __android_log_assert(const char *condition, const char *tag, const char *format, ...) {
  dprintf(2, "%s: %s %s\n", tag ? tag : "", condition ? condition : "", format ? format : "");
  abort();
}
void __assert2(const char *file, int line, const char *function, const char *what) {
  dprintf(2, "%s:%d: %s: %s\n", file, line, function, what);
  abort();
}
void android_set_abort_message(const char *text) { dprintf(2, "abort: %s\n", text); }

/* --- properties: there are none --- */
int __system_property_get(const char *name, char *value) {
  (void)name;
  value[0] = 0;
  return 0;
}

/* --- functions that check the size they were told of a buffer: here they trust it --- */
#define UNUSED __attribute__((unused))
int __FD_ISSET_chk(int fd, const fd_set *set, size_t size UNUSED) { return FD_ISSET(fd, set); }
void __FD_SET_chk(int fd, fd_set *set, size_t size UNUSED) { FD_SET(fd, set); }
void *__memcpy_chk(void *to, const void *from, size_t n, size_t size UNUSED) { return memcpy(to, from, n); }
void *__memmove_chk(void *to, const void *from, size_t n, size_t size UNUSED) { return memmove(to, from, n); }
void *__memset_chk(void *to, int c, size_t n, size_t size UNUSED) { return memset(to, c, n); }
size_t __strlen_chk(const char *text, size_t size UNUSED) { return strlen(text); }
char *__strchr_chk(const char *text, int c, size_t size UNUSED) { return strchr(text, c); }
char *__strrchr_chk(const char *text, int c, size_t size UNUSED) { return strrchr(text, c); }
char *__strncpy_chk(char *to, const char *from, size_t n, size_t size UNUSED) { return strncpy(to, from, n); }
char *__strncpy_chk2(char *to, const char *from, size_t n, size_t size UNUSED, size_t other UNUSED) { return strncpy(to, from, n); }
int __open_2(const char *path, int flags) { return open(path, flags); }
ssize_t __read_chk(int fd, void *data, size_t n, size_t size UNUSED) { return read(fd, data, n); }
ssize_t __write_chk(int fd, const void *data, size_t n, size_t size UNUSED) { return write(fd, data, n); }
ssize_t __pread_chk(int fd, void *data, size_t n, off_t at, size_t size UNUSED) { return pread(fd, data, n, at); }
size_t __fwrite_chk(const void *data, size_t size, size_t n, FILE *file, size_t all UNUSED) { return fwrite(data, size, n, file); }
int __vsnprintf_chk(char *to, size_t n, int flags UNUSED, size_t size UNUSED, const char *format, va_list list) {
  return vsnprintf(to, n, format, list);
}
int __vsprintf_chk(char *to, int flags UNUSED, size_t size UNUSED, const char *format, va_list list) { return vsprintf(to, format, list); }

/* --- the rest --- */
char *__gnu_strerror_r(int error, char *to, size_t n) {
  strerror_r(error, to, n);
  return to;
}
long long strtoll_l(const char *text, char **end, int base, locale_t locale UNUSED) { return strtoll(text, end, base); }
unsigned long long strtoull_l(const char *text, char **end, int base, locale_t locale UNUSED) { return strtoull(text, end, base); }
