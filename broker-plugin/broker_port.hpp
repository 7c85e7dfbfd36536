// Where the service's messages and log lines go out.
#pragma once

#include <string>

#include "core/base/bytes.hpp"
#include "core/base/log_level.hpp"
#include "core/wire/delivery.hpp"

namespace instar::broker {

// Called on the broker's thread only.
class BrokerPort {
 public:
  virtual ~BrokerPort() = default;
  virtual void publish(const std::string& topic, ByteView payload, wire::Qos qos, wire::Retain retain) = 0;
  virtual void log(LogLevel level, const std::string& line) = 0;
};

}  // namespace instar::broker
