// A real Mosquitto on a port of the loopback interface, as a child process that this object owns.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <string>

#include "mqtt/testing/loopback_port.hpp"

namespace instar::mqtt {

class BrokerFixture {
 public:
  // `lines`: for mosquitto.conf. The broker is not started.
  explicit BrokerFixture(std::string lines = "allow_anonymous true\n");
  ~BrokerFixture();
  BrokerFixture(const BrokerFixture&) = delete;
  BrokerFixture& operator=(const BrokerFixture&) = delete;

  // The port belongs to the broker from the beginning, also while it is down.
  [[nodiscard]] std::uint16_t port() const noexcept { return port_.number(); }
  [[nodiscard]] std::string uri(const std::string& scheme = "tcp", const std::string& host = "localhost") const;
  // A folder for files of the test. The destructor removes it.
  [[nodiscard]] const std::string& folder() const noexcept { return folder_; }

  // Starts it, and waits until it listens. Fails the test when it does not.
  void start();
  // Ends it with SIGKILL, which looks like a crash from outside.
  void kill(int signal = SIGKILL);
  // Stops the process until continue_running(): connections stay, but nothing is read.
  void stand_still() const;
  void continue_running() const;

 private:
  [[nodiscard]] bool has_ended();
  [[nodiscard]] std::string log_text() const;

  const std::string lines_;
  LoopbackPort port_;
  std::string folder_;
  pid_t pid_ = -1;
};

}  // namespace instar::mqtt
