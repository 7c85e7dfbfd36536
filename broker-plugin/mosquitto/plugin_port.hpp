// The BrokerPort onto Mosquitto.
#pragma once

#include "broker-plugin/service.hpp"

namespace instar::broker {

class MosquittoPort final : public BrokerPort {
 public:
  // Copies the payload into memory of Mosquitto's own and leaves it to the broker without naming a client: what is
  // dropped on the way to a client that does not read is then freed (docs/broker.md, "What the plugin does to your
  // broker").
  void publish(const std::string& topic, ByteView payload, wire::Qos qos, wire::Retain retain) override;
  // Control characters, which a device may have sent, do not reach the log.
  void log(LogLevel level, const std::string& line) override;
};

}  // namespace instar::broker
