// The service's lines in the broker's log.
#pragma once

#include <string>

#include "broker-plugin/broker_port.hpp"
#include "core/base/text.hpp"

namespace instar::broker {

class Log {
 public:
  explicit Log(BrokerPort& broker) : broker_(broker) {}

  // Reasons come from devices: control characters become spaces, so that one entry is one line, and what would hide or
  // turn text around becomes '?'.
  void write(LogLevel level, std::string line) const {
    for (auto& c : line) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    broker_.log(level, clean_line(line));
  }

 private:
  BrokerPort& broker_;
};

}  // namespace instar::broker
