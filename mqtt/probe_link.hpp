// One connection to a broker, made to find out why another one failed, or for bytes of others: TCP, and TLS with all
// that OpenSSL knows. The only file that includes OpenSSL is its source.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "core/base/bytes.hpp"
#include "mqtt/client.hpp"
#include "mqtt/fault.hpp"

namespace instar::mqtt {

// How long a step may take, and who may end it earlier.
class Patience {
 public:
  using Clock = std::chrono::steady_clock;
  Patience(Clock::time_point until, const std::atomic<bool>& stopped) : until_(until), stopped_(&stopped) {}
  // The next time to look at whether it was stopped, in milliseconds; 0: it is over.
  [[nodiscard]] int wait_ms() const;
  [[nodiscard]] bool is_over() const { return wait_ms() == 0; }

 private:
  Clock::time_point until_;
  const std::atomic<bool>* stopped_;
};

// The host, in brackets where it is an IPv6 address, and the port of "tcp://host:1883".
struct Endpoint {
  std::string host;
  std::string port;
  [[nodiscard]] std::string str() const { return host + ":" + port; }
};
[[nodiscard]] Endpoint endpoint_in(std::string_view server_uri);

// `unverified`: it is only asked whether there is TLS at all.
enum class Encryption : std::uint8_t { none, tls, unverified };

class ProbeLink {
 public:
  enum class Heard : std::uint8_t { bytes, nothing, closed };

  ProbeLink();
  ~ProbeLink();
  ProbeLink(const ProbeLink&) = delete;
  ProbeLink& operator=(const ProbeLink&) = delete;

  // Connects. A finding with `unknown` and no sentence: it stands. Otherwise why it does not. A handshake that the
  // other side ended without a word leaves `ended_silently`.
  [[nodiscard]] Finding open(const Options& options, Encryption encryption, const Patience& patience);
  [[nodiscard]] bool ended_silently() const noexcept { return ended_silently_; }
  // False: the connection is gone, or did not take it in time.
  [[nodiscard]] bool send(ByteView bytes, const Patience& patience);
  // Waits for bytes and appends them.
  [[nodiscard]] Heard receive(Bytes& bytes, const Patience& patience);
  // One try, without waiting, and what it takes for the next one.
  enum class Next : std::uint8_t { goes_on, wants_read, wants_write, ended };
  // Into `bytes`, which is empty.
  [[nodiscard]] Next try_read(Bytes& bytes);
  // What went is taken from `bytes`. After a try that wants more, the same bytes must be tried next.
  [[nodiscard]] Next try_write(Bytes& bytes);
  // To wait for; -1: there is none.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  // Why TLS ended the connection that stood: a client certificate that was missing or refused. `unknown`: it did not.
  [[nodiscard]] Finding ended_by() const { return ended_by_; }
  // The broker asked for a client certificate, and there was none to give.
  [[nodiscard]] bool was_asked_for_certificate() const noexcept;

 private:
  struct Tls;
  // Bytes can be sent and received: over TLS not before its handshake has begun.
  [[nodiscard]] bool is_usable() const noexcept;
  [[nodiscard]] Next after(int result, Next wanted) const;
  [[nodiscard]] Finding resolve_and_connect(const Patience& patience);
  [[nodiscard]] int connect_to(const void* address, const Patience& patience) const;
  [[nodiscard]] Finding start_tls(const Options& options, Encryption encryption, const Patience& patience);
  [[nodiscard]] Finding shake_hands(const Options& options, const Patience& patience);
  // Waits until the socket is ready for what TLS wants next. False: not in time, or this is an error of TLS.
  [[nodiscard]] bool wait_for_tls(int result, const Patience& patience) const;
  [[nodiscard]] Finding tls_reason(const Options& options) const;

  Endpoint endpoint_;
  int fd_ = -1;
  bool ended_silently_ = false;
  std::unique_ptr<Tls> tls_;
  Finding ended_by_;
  const Options* options_ = nullptr;
};

}  // namespace instar::mqtt
