#include "broker-plugin/outbox.hpp"

#include "core/trust/envelope.hpp"

namespace instar::broker {

using wire::Qos;
using wire::Retain;

Outbox::Outbox(BrokerPort& broker, wire::Topics topics, trust::SecretKey gate_key)
    : broker_(broker), topics_(std::move(topics)), gate_key_(std::move(gate_key)) {}

void Outbox::send(const std::string& topic, ByteView payload) const {
  broker_.publish(topic, payload, Qos::at_least_once, Retain::no);
}

void Outbox::retain(const std::string& topic, ByteView payload) const {
  broker_.publish(topic, payload, Qos::at_least_once, Retain::yes);
}

void Outbox::root(ByteView envelope) const {
  retain(topics_.root(), envelope);
}

void Outbox::root_version(std::uint32_t version, ByteView envelope) const {
  retain(topics_.root(version), envelope);
}

void Outbox::manifest(const rollout::Audience& audience, ByteView envelope) const {
  retain(topics_.manifest(audience.group, audience.product), envelope);
}

void Outbox::assignment(const DeviceId& device, ByteView envelope) const {
  retain(topics_.device(device, wire::TopicKind::device_assignment), envelope);
}

void Outbox::gate(const wire::Gate& gate) const {
  retain(topics_.gate(gate.group, gate.product), sealed(gate));
}

void Outbox::status(const ManifestId& rollout, const std::string& json) const {
  retain(topics_.status(rollout.short_hex()), as_bytes(json));
}

// An empty retained message takes the one before away.
void Outbox::remove_status(const ManifestId& rollout) const {
  retain(topics_.status(rollout.short_hex()), {});
}

void Outbox::refused(const ManifestId& rollout, const std::string& json) const {
  send(topics_.status(rollout.short_hex()), as_bytes(json));
}

void Outbox::ack(const DeviceId& device, const wire::Ack& ack) const {
  send(topics_.device(device, wire::TopicKind::device_ack), wire::encode(ack));
}

void Outbox::piece(const DeviceId& device, const wire::ChunkPiece& piece) const {
  broker_.publish(topics_.device(device, wire::TopicKind::device_chunk), wire::encode(piece), Qos::at_most_once,
                  Retain::no);
}

void Outbox::stored(const ClientId& client, const wire::Stored& stored) const {
  send(topics_.stored(client), wire::encode(stored));
}

void Outbox::answer(const std::string& json) const {
  send(topics_.control_response(), as_bytes(json));
}

Bytes Outbox::sealed(const wire::Gate& gate) const {
  return trust::seal(trust::Kind::gate, wire::encode(gate), gate_key_);
}

Bytes Outbox::sample_gate() const {
  wire::Gate sample;
  if (auto group = GroupPath::parse("probe"); group.has_value()) sample.group = *group;
  sample.product = "probe";
  return sealed(sample);
}

}  // namespace instar::broker
