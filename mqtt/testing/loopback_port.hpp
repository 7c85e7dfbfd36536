// A port of the loopback interface that belongs to the test as long as this object exists.
#pragma once

#include <cstdint>

namespace instar::mqtt {

// A socket stays bound to the port and does not listen. So the kernel gives the port to nobody else, and refuses a
// connection to it. A server that sets SO_REUSEADDR, as Mosquitto does, can listen there too.
class LoopbackPort {
 public:
  LoopbackPort();
  ~LoopbackPort();
  LoopbackPort(const LoopbackPort&) = delete;
  LoopbackPort& operator=(const LoopbackPort&) = delete;

  [[nodiscard]] std::uint16_t number() const noexcept { return number_; }
  // The socket itself, for a server inside the test.
  [[nodiscard]] int socket() const noexcept { return socket_; }
  // Whether somebody accepts connections there.
  [[nodiscard]] bool listens() const;

 private:
  int socket_;
  std::uint16_t number_ = 0;
};

}  // namespace instar::mqtt
