// Every message that the service sends: its topic, its form, its QoS, and whether it is retained.
#pragma once

#include <cstdint>
#include <string>

#include "broker-plugin/broker_port.hpp"
#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/rollout/exchange/effects.hpp"
#include "core/trust/keys.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/topics.hpp"

namespace instar::broker {

// Immutable. Who calls sees to it that what a message says is durable.
class Outbox {
 public:
  Outbox(BrokerPort& broker, wire::Topics topics, trust::SecretKey gate_key);

  // Retained.
  void root(ByteView envelope) const;
  void root_version(std::uint32_t version, ByteView envelope) const;
  // Empty: the one before is taken away.
  void manifest(const rollout::Audience& audience, ByteView envelope) const;
  void assignment(const DeviceId& device, ByteView envelope) const;
  void gate(const wire::Gate& gate) const;
  void status(const ManifestId& rollout, const std::string& json) const;
  void remove_status(const ManifestId& rollout) const;

  // Not retained.
  void refused(const ManifestId& rollout, const std::string& json) const;
  void ack(const DeviceId& device, const wire::Ack& ack) const;
  void piece(const DeviceId& device, const wire::ChunkPiece& piece) const;
  void stored(const ClientId& client, const wire::Stored& stored) const;
  void answer(const std::string& json) const;

  [[nodiscard]] Bytes sealed(const wire::Gate& gate) const;
  // A gate of no group, to find out who would believe the key.
  [[nodiscard]] Bytes sample_gate() const;

 private:
  void send(const std::string& topic, ByteView payload) const;
  void retain(const std::string& topic, ByteView payload) const;

  BrokerPort& broker_;
  wire::Topics topics_;
  trust::SecretKey gate_key_;
};

}  // namespace instar::broker
