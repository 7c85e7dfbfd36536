// Defines recv() and SSL_read() before the libraries that have them, so it includes no header that declares them.
#include "mqtt/packet_bound.hpp"

#include <dlfcn.h>
#include <sys/types.h>

#include <atomic>
#include <cerrno>

#include "core/base/limits.hpp"

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
int __real_SSL_read(void* ssl, void* buffer, int bytes);
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

extern "C" {

[[gnu::visibility("default")]] ssize_t INSTAR_CALL(recv)(int socket, void* buffer, std::size_t bytes, int flags) {
  if (!instar::mqtt::takes_packet(bytes)) {
    errno = EMSGSIZE;
    return -1;
  }
  return INSTAR_REAL(recv)(socket, buffer, bytes, flags);
}

[[gnu::visibility("default")]] int INSTAR_CALL(SSL_read)(void* ssl, void* buffer, int bytes) {
  if (bytes <= 0 || instar::mqtt::takes_packet(static_cast<std::size_t>(bytes))) {
    return INSTAR_REAL(SSL_read)(ssl, buffer, bytes);
  }
  // As if the broker had closed the connection: the library reads no more then, and says so.
  constexpr int kReceivedShutdown = 2;  // SSL_RECEIVED_SHUTDOWN of openssl/ssl.h
  SSL_set_shutdown(ssl, kReceivedShutdown);
  return INSTAR_REAL(SSL_read)(ssl, buffer, 1);
}

}  // extern "C"
