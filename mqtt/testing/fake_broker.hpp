// A very small broker, for what Mosquitto does not do on demand. It serves one connection at a time.
#pragma once

#include <cstdint>
#include <string>
#include <thread>

#include "mqtt/testing/loopback_port.hpp"

namespace instar::mqtt {

enum class FakeAnswer : std::uint8_t {
  nothing,               // reads, and never answers
  hangs_up,              // closes the connection instead of answering CONNECT
  refuses_connect,       // CONNACK with the code given
  refuses_subscription,  // SUBACK 0x80
  sends_too_much,        // CONNACK, then a PUBLISH of 100 MB
  cuts_a_message,        // CONNACK, then the start of a PUBLISH: topic "t", 40 of 100 bytes; then hangs up
};

class FakeBroker {
 public:
  explicit FakeBroker(FakeAnswer answer, std::uint8_t connack_code = 0);
  ~FakeBroker();
  FakeBroker(const FakeBroker&) = delete;
  FakeBroker& operator=(const FakeBroker&) = delete;

  [[nodiscard]] std::string uri() const;

 private:
  void serve() const;
  [[nodiscard]] int accept_one() const;  // -1 at the end
  void serve_one(int fd) const;

  const FakeAnswer answer_;
  const std::uint8_t connack_code_;
  LoopbackPort port_;
  std::thread thread_;
};

}  // namespace instar::mqtt
