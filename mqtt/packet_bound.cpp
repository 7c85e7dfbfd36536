// Defines recv(), writev(), SSL_read() and SSL_write() before the libraries that have them, so it includes no header
// that declares them.
#include "mqtt/packet_bound.hpp"

#include <bits/types/struct_iovec.h>
#include <dlfcn.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>

#include "core/base/limits.hpp"
#include "mqtt/wire_tap.hpp"

namespace instar::mqtt {
namespace {

std::atomic<std::size_t> refused = 0;

}  // namespace

bool takes_packet(std::size_t bytes) noexcept {
  if (bytes <= limits::kPacketBytesMax) return true;
  refused = bytes;
  return false;
}

std::size_t take_refused_packet() noexcept {
  return refused.exchange(0);
}

}  // namespace instar::mqtt

// In one file with its libraries, the linker leads their calls to __wrap_NAME (-Wl,--wrap=NAME). Otherwise the dynamic
// linker finds the program's own function first, and we ask it for the next one.
#ifdef INSTAR_WRAPS_CALLS
#define INSTAR_CALL(name) __wrap_##name
extern "C" {
ssize_t __real_recv(int socket, void* buffer, std::size_t bytes, int flags);
ssize_t __real_writev(int file, const iovec* parts, int count);
int __real_SSL_read(void* ssl, void* buffer, int bytes);
int __real_SSL_write(void* ssl, const void* buffer, int bytes);
int shutdown(int socket, int how);
void SSL_set_shutdown(void* ssl, int mode);
}
#define INSTAR_REAL(name) __real_##name
#else
#define INSTAR_CALL(name) name
#define INSTAR_REAL(name) real_##name
namespace {
template <typename Function>
Function* next_of(const char* name) noexcept {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}
ssize_t real_recv(int socket, void* buffer, std::size_t bytes, int flags) noexcept {
  static auto* const next = next_of<ssize_t(int, void*, std::size_t, int)>("recv");
  return next(socket, buffer, bytes, flags);
}
ssize_t real_writev(int file, const iovec* parts, int count) noexcept {
  static auto* const next = next_of<ssize_t(int, const iovec*, int)>("writev");
  return next(file, parts, count);
}
int real_SSL_write(void* ssl, const void* buffer, int bytes) noexcept {
  static auto* const next = next_of<int(void*, const void*, int)>("SSL_write");
  return next(ssl, buffer, bytes);
}
int shutdown(int socket, int how) noexcept {
  static auto* const next = next_of<int(int, int)>("shutdown");
  return next(socket, how);
}
int real_SSL_read(void* ssl, void* buffer, int bytes) noexcept {
  static auto* const next = next_of<int(void*, void*, int)>("SSL_read");
  return next(ssl, buffer, bytes);
}
void SSL_set_shutdown(void* ssl, int mode) noexcept {
  static auto* const next = next_of<void(void*, int)>("SSL_set_shutdown");
  next(ssl, mode);
}
}  // namespace
#endif

namespace {

constexpr int kParts = 16;
constexpr int kBothWays = 2;  // SHUT_RDWR of sys/socket.h

std::span<const std::uint8_t> bytes_at(const void* at, std::size_t bytes) noexcept {
  return {static_cast<const std::uint8_t*>(at), bytes};
}

// Connections are told apart by an address that nothing lies at for a socket.
const void* source_of(int socket) noexcept {
  return reinterpret_cast<const void*>(static_cast<std::uintptr_t>(socket));
}

// In one call, so that both leave in one packet. What is half sent cannot be mended: the connection ends.
ssize_t write_with(int file, const iovec* parts, int count, const instar::Bytes& following) noexcept {
  std::array<iovec, kParts + 1> all{};
  std::copy_n(parts, count, all.begin());
  all[static_cast<std::size_t>(count)] = {const_cast<std::uint8_t*>(following.data()), following.size()};
  std::size_t own = 0;
  for (int i = 0; i < count; ++i) own += parts[i].iov_len;
  const ssize_t written = INSTAR_REAL(writev)(file, all.data(), count + 1);
  const bool is_whole = written == static_cast<ssize_t>(own + following.size());
  if (!is_whole) instar::mqtt::note_following_failed();
  if (written <= static_cast<ssize_t>(own)) return written;
  if (!is_whole) shutdown(file, kBothWays);
  return static_cast<ssize_t>(own);
}

}  // namespace

extern "C" {

[[gnu::visibility("default")]] ssize_t INSTAR_CALL(recv)(int socket, void* buffer, std::size_t bytes, int flags) {
  if (!instar::mqtt::takes_packet(bytes)) {
    errno = EMSGSIZE;
    return -1;
  }
  const ssize_t got = INSTAR_REAL(recv)(socket, buffer, bytes, flags);
  if (got > 0) instar::mqtt::note_read(source_of(socket), bytes, bytes_at(buffer, static_cast<std::size_t>(got)));
  return got;
}

[[gnu::visibility("default")]] ssize_t INSTAR_CALL(writev)(int file, const iovec* parts, int count) {
  if (count > 0 && count <= kParts) {
    const auto following = instar::mqtt::take_what_follows(bytes_at(parts[0].iov_base, parts[0].iov_len), count > 1);
    if (!following.empty()) return write_with(file, parts, count, following);
  }
  return INSTAR_REAL(writev)(file, parts, count);
}

[[gnu::visibility("default")]] int INSTAR_CALL(SSL_write)(void* ssl, const void* buffer, int bytes) {
  if (bytes <= 0) return INSTAR_REAL(SSL_write)(ssl, buffer, bytes);
  const auto own = bytes_at(buffer, static_cast<std::size_t>(bytes));
  const auto following = instar::mqtt::take_what_follows(own, false);
  if (following.empty()) return INSTAR_REAL(SSL_write)(ssl, buffer, bytes);
  instar::Bytes both(own.begin(), own.end());
  both.insert(both.end(), following.begin(), following.end());
  const int written = INSTAR_REAL(SSL_write)(ssl, both.data(), static_cast<int>(both.size()));
  if (written == static_cast<int>(both.size())) return bytes;
  instar::mqtt::note_following_failed();
  return written > 0 ? -1 : written;
}

[[gnu::visibility("default")]] int INSTAR_CALL(SSL_read)(void* ssl, void* buffer, int bytes) {
  if (bytes <= 0 || instar::mqtt::takes_packet(static_cast<std::size_t>(bytes))) {
    const int got = INSTAR_REAL(SSL_read)(ssl, buffer, bytes);
    if (got > 0)
      instar::mqtt::note_read(ssl, static_cast<std::size_t>(bytes), bytes_at(buffer, static_cast<std::size_t>(got)));
    return got;
  }
  // As if the broker had closed the connection: the library reads no more then, and says so.
  constexpr int kReceivedShutdown = 2;  // SSL_RECEIVED_SHUTDOWN of openssl/ssl.h
  SSL_set_shutdown(ssl, kReceivedShutdown);
  return INSTAR_REAL(SSL_read)(ssl, buffer, 1);
}

}  // extern "C"
