// The BrokerPort of Mosquitto.
#pragma once

#include "broker-plugin/service.hpp"

namespace instar::broker {

class MosquittoPort final : public BrokerPort {
 public:
  // Copies the payload into Mosquitto's own memory and gives it to the broker without naming a client. The broker then
  // frees a message that it drops because a client does not read (docs/broker.md, "What the plugin does to your
  // broker").
  void publish(const std::string& topic, ByteView payload, wire::Qos qos, wire::Retain retain) override;
  // Replaces control characters, which a device may have sent.
  void log(LogLevel level, const std::string& line) override;
};

}  // namespace instar::broker
