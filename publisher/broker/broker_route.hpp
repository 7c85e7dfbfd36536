// Connections to the broker for bytes of others, such as a browser's: as `instar` itself connects, with TLS and client
// certificate, but without a word of its own.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "mqtt/client.hpp"
#include "publisher/broker/connection.hpp"
#include "publisher/console/failure.hpp"

namespace instar::publisher {

// Connects, and ends that. Errors: unreachable, with what mends it.
[[nodiscard]] Outcome<void> check_reachable(const Connection& connection);

// One connection, on a thread of its own. The destructor ends it.
class BrokerRoute {
 public:
  // Owns `fd`, a stream socket, from here on, and closes it at its end.
  BrokerRoute(const Connection& connection, int fd);
  ~BrokerRoute();
  BrokerRoute(const BrokerRoute&) = delete;
  BrokerRoute& operator=(const BrokerRoute&) = delete;

  [[nodiscard]] bool is_over() const noexcept { return over_.load(); }
  // Once it is over: why the broker was not reached, or did not take this side's certificate. Empty: neither.
  [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

 private:
  void run(int fd);

  const mqtt::Options options_;
  const std::int64_t timeout_ms_;
  std::string fault_;
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

}  // namespace instar::publisher
