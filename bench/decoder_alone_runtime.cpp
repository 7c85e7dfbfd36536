// The start of the program, its system calls, memory, and the few functions of a C and a C++ library that the decoder
// calls. Linux on x86-64 and AArch64, one thread. Without exceptions: where libstdc++ would throw, or memory ends, the
// program ends.
#include "bench/decoder_alone_runtime.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <new>

#include "core/base/assert.hpp"

#if defined(__x86_64__)
#include <asm/prctl.h>
#endif

namespace instar::bench {
namespace {

#if defined(__x86_64__)
long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) noexcept {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) noexcept {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error "decoder_alone knows the system calls of x86-64 and AArch64 only"
#endif

[[noreturn]] void end(int code) noexcept {
  while (true) call(SYS_exit_group, code);
}

[[noreturn]] void die(const char* why) noexcept {
  std::size_t bytes = 0;
  while (why[bytes] != 0) ++bytes;
  write(2, why, bytes);
  write(2, "\n", 1);
  end(134);
}

std::byte* map_pages(std::size_t bytes) noexcept {
  const long at =
      call(SYS_mmap, 0, static_cast<long>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at < 0 && at > -4096 ? nullptr : reinterpret_cast<std::byte*>(at);
}

// Memory: large blocks are pages of their own, given back when they are freed; small ones are cut from 64 KiB and kept
// for the next of their power of two.
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kPoolBytes = 64 * 1024;
constexpr std::size_t kSmallMax = 8 * 1024;  // with its head
struct alignas(16) Head {
  std::size_t bytes = 0;  // of the block, with its head
  Head* next = nullptr;   // while it is free
};
Head* free_blocks[14];  // by the power of two
std::byte* pool = nullptr;
std::size_t pool_left = 0;

int class_of(std::size_t bytes) noexcept {
  int power = 5;
  while ((std::size_t{1} << power) < bytes) ++power;
  return power;
}

void* take_small(std::size_t bytes) noexcept {
  const int power = class_of(bytes);
  Head*& free = free_blocks[power];
  if (free != nullptr) {
    Head* head = free;
    free = head->next;
    return head + 1;
  }
  const std::size_t block = std::size_t{1} << power;
  if (pool_left < block) {
    pool = map_pages(kPoolBytes);
    if (pool == nullptr) return nullptr;
    pool_left = kPoolBytes;
  }
  Head* head = new (pool) Head{block, nullptr};
  pool += block;
  pool_left -= block;
  return head + 1;
}

void* take(std::size_t bytes) noexcept {
  if (bytes > std::size_t{1} << 40) return nullptr;
  bytes += sizeof(Head);
  if (bytes <= kSmallMax) return take_small(bytes);
  bytes = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  std::byte* at = map_pages(bytes);
  return at == nullptr ? nullptr : new (at) Head{bytes, nullptr} + 1;
}

void give_back(void* block) noexcept {
  if (block == nullptr) return;
  Head* head = static_cast<Head*>(block) - 1;
  if (head->bytes > kSmallMax) {
    call(SYS_munmap, reinterpret_cast<long>(head), static_cast<long>(head->bytes));
    return;
  }
  Head*& free = free_blocks[class_of(head->bytes)];
  head->next = free;
  free = head;
}

}  // namespace

int open(const char* path, int flags, unsigned mode) noexcept {
  return static_cast<int>(
      call(SYS_openat, -100, reinterpret_cast<long>(path), flags, static_cast<long>(mode)));  // AT_FDCWD
}

void close(int fd) noexcept {
  call(SYS_close, fd);
}

long pread(int fd, void* out, std::size_t bytes, std::uint64_t offset) noexcept {
  return call(SYS_pread64, fd, reinterpret_cast<long>(out), static_cast<long>(bytes), static_cast<long>(offset));
}

long write(int fd, const void* bytes, std::size_t count) noexcept {
  return call(SYS_write, fd, reinterpret_cast<long>(bytes), static_cast<long>(count));
}

std::uint64_t size_of(int fd) noexcept {
  const long end = call(SYS_lseek, fd, 0, 2);  // SEEK_END
  return end < 0 ? 0 : static_cast<std::uint64_t>(end);
}

}  // namespace instar::bench

namespace rt = instar::bench;

void instar::broken_invariant(const char* /*file*/, int /*line*/, const char* condition) noexcept {
  rt::die(condition);
}

void* operator new(std::size_t bytes) {
  void* block = rt::take(bytes);
  if (block == nullptr) rt::die("no memory");
  return block;
}
void operator delete(void* block) noexcept {
  rt::give_back(block);
}
void operator delete(void* block, std::size_t /*bytes*/) noexcept {
  rt::give_back(block);
}

// What libstdc++'s headers call where they would throw.
namespace std {
void __throw_length_error(const char* what) {
  rt::die(what);
}
void __throw_logic_error(const char* what) {
  rt::die(what);
}
void __throw_out_of_range_fmt(const char* what, ...) {
  rt::die(what);
}
void __throw_bad_function_call() {
  rt::die("an empty function is called");
}
void __throw_bad_alloc() {
  rt::die("no memory");
}
void __throw_bad_array_new_length() {
  rt::die("no memory");
}
}  // namespace std

extern "C" {

// The compiler and the two static libraries call these by their C names.
void* malloc(std::size_t bytes) {
  return rt::take(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  if (bytes != 0 && count > ~std::size_t{0} / bytes) return nullptr;
  void* block = rt::take(count * bytes);
  if (block != nullptr) __builtin_memset(block, 0, count * bytes);
  return block;
}
void free(void* block) {
  rt::give_back(block);
}
void* memcpy(void* to, const void* from, std::size_t bytes) {
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  for (std::size_t i = 0; i < bytes; ++i) out[i] = in[i];
  return to;
}
void* memmove(void* to, const void* from, std::size_t bytes) {
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  if (out <= in) {
    for (std::size_t i = 0; i < bytes; ++i) out[i] = in[i];
  } else {
    while (bytes-- > 0) out[bytes] = in[bytes];
  }
  return to;
}
void* memset(void* to, int value, std::size_t bytes) {
  auto* out = static_cast<unsigned char*>(to);
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<unsigned char>(value);
  return to;
}
int memcmp(const void* a, const void* b, std::size_t bytes) {
  const auto* x = static_cast<const unsigned char*>(a);
  const auto* y = static_cast<const unsigned char*>(b);
  for (std::size_t i = 0; i < bytes; ++i) {
    if (x[i] != y[i]) return x[i] - y[i];
  }
  return 0;
}
const void* memchr_of(const void* bytes, int value, std::size_t count) asm("memchr");
const void* memchr_of(const void* bytes, int value, std::size_t count) {
  const auto* at = static_cast<const unsigned char*>(bytes);
  for (; count > 0; ++at, --count) {
    if (*at == static_cast<unsigned char>(value)) return at;
  }
  return nullptr;
}
std::size_t strlen(const char* text) {
  std::size_t bytes = 0;
  while (text[bytes] != 0) ++bytes;
  return bytes;
}
void abort() {
  rt::die("aborted");
}
void __stack_chk_fail() {
  rt::die("the stack is broken");
}
std::uintptr_t __stack_chk_guard = 0x595e9fbd94fda766;

void decoder_start(long* stack) {
#if defined(__x86_64__)
  // Where the stack protector of the libraries looks for its canary: 40 bytes after the thread pointer.
  static long thread[8];
  rt::call(SYS_arch_prctl, ARCH_SET_FS, reinterpret_cast<long>(thread));
#endif
  rt::end(rt::decoder_main(static_cast<int>(stack[0]), reinterpret_cast<char**>(stack + 1)));
}
}

#if defined(__x86_64__)
asm(".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call decoder_start\n");
#else
asm(".globl _start\n_start:\n  mov x29, #0\n  mov x30, #0\n  mov x0, sp\n  bl decoder_start\n");
#endif
