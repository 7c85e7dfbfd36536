// Every decoder of core/wire. The first byte picks one, the rest is its input. What is taken must be written in a form
// that is taken again and says the same.
#include <cstdint>
#include <vector>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/wire/approval.hpp"
#include "core/wire/cut_piece.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/placement.hpp"
#include "core/wire/testing/examples.hpp"
#include "core/wire/topics.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_wire {
namespace {

template <typename Decode, typename Encode>
void again(ByteView input, Decode decode, Encode encode_value) {
  const auto first = decode(input);
  if (!first.has_value()) {
    INSTAR_ASSERT(!first.error().message.empty());
    return;
  }
  const Bytes written = encode_value(*first);
  const auto second = decode(written);
  if (!second.has_value()) {
    // Only because tables that the input shared are written out one by one.
    INSTAR_ASSERT(second.error().code == Code::too_large && written.size() > limits::kMessageBytesMax);
    return;
  }
  INSTAR_ASSERT(encode_value(*second) == written);
}

std::string rebuilt(const wire::Topics& topics, const wire::Topic& topic) {
  using wire::TopicKind;
  switch (topic.kind) {
    case TopicKind::root: return topics.root();
    case TopicKind::root_version: return topics.root(topic.root_version);
    case TopicKind::group_manifest: return topics.manifest(topic.group, topic.product);
    case TopicKind::group_gate: return topics.gate(topic.group, topic.product);
    case TopicKind::rollout_status: return topics.status(topic.rollout);
    case TopicKind::operator_put: return topics.put(topic.client);
    case TopicKind::operator_stored: return topics.stored(topic.client);
    case TopicKind::control: return topics.control();
    case TopicKind::control_response: return topics.control_response();
    default: return topics.device(topic.device, topic.kind);
  }
}

void topic_again(const wire::Topics& topics, std::string_view text) {
  const auto topic = topics.parse(text);
  if (!topic.has_value()) return;
  INSTAR_ASSERT(rebuilt(topics, *topic) == text);
  INSTAR_ASSERT(topics.owns(text) || text.starts_with("$CONTROL/"));
}

// A prefix, a line feed, and a topic.
void prefixed(std::string_view text) {
  const auto end = text.find('\n');
  const auto topics = wire::Topics::with_prefix(text.substr(0, end));
  if (!topics.has_value()) return;
  INSTAR_ASSERT(topics->prefix() == text.substr(0, end));
  INSTAR_ASSERT(rebuilt(*topics, *topics->parse(topics->root())) == topics->root());
  if (end != std::string_view::npos) topic_again(*topics, text.substr(end + 1));
}

// Of a message that is longer than what is there: never more than that, and what it says is in what is there.
void cut_piece(ByteView input) {
  for (const std::size_t missing : {std::size_t{1}, std::size_t{40}, std::size_t{3'000}}) {
    const auto piece = wire::decode_cut_piece(input, input.size() + missing);
    INSTAR_ASSERT(!piece.has_value() || (!piece->data.empty() && piece->data.size() <= input.size()));
  }
}

// Whatever a policy says, each device has its place in it: no wave admits less than the one before.
void policy(ByteView input) {
  const auto manifest = wire::decode_manifest(input);
  if (!manifest.has_value() || !wire::check_waves(manifest->policy)) return;
  const auto& policy = manifest->policy;
  const auto count = wire::wave_count(policy);
  INSTAR_ASSERT(count > 0 && wire::point_max(policy, count - 1) == wire::kPointsEnd);
  std::vector<std::uint64_t> limits;
  for (std::size_t wave = 0; wave < count; ++wave) {
    limits.push_back(wire::point_max(policy, wave));
    INSTAR_ASSERT(wave == 0 || limits[wave] >= limits[wave - 1]);
  }
  const auto device = DeviceId::parse("gw-01");
  const auto point = wire::placement_point(policy.salt, *device);
  INSTAR_ASSERT(wire::first_wave(policy, limits, *device, point).has_value());
}

// What a device obeys keeps to the policy that was signed.
void gate(ByteView input) {
  static const wire::Manifest kManifest = wire::examples::manifest();
  const auto gate = wire::decode_gate(input);
  if (!gate.has_value() || !wire::check_gate(kManifest, *gate)) return;
  const auto& policy = kManifest.policy;
  INSTAR_ASSERT(gate->wave < wire::wave_count(policy) && gate->wave_opened.size() == gate->wave + 1);
  INSTAR_ASSERT(gate->admitted_point <= wire::point_max(policy, gate->wave));
  INSTAR_ASSERT(gate->state != wire::GateState::reverted || policy.revert_allowed);
  (void)wire::admits(policy, *gate, *DeviceId::parse("gw-01"));
}

void run(ByteView data) {
  const ByteView input = data.subspan(1);
  const auto write = [](const auto& value) { return wire::encode(value); };
  switch (data[0] % 16) {
    case 0:
      again(input, wire::decode_manifest, wire::encode_manifest);
      policy(input);
      break;
    case 1:
      again(input, wire::decode_gate, write);
      gate(input);
      break;
    case 2: again(input, wire::decode_hello, write); break;
    case 3: again(input, wire::decode_report, write); break;
    case 4: again(input, wire::decode_fetch, write); break;
    case 5:
      again(input, wire::decode_chunk_piece, write);
      cut_piece(input);
      break;
    case 6: again(input, wire::decode_ack, write); break;
    case 7: again(input, wire::decode_put, write); break;
    case 8: again(input, wire::decode_stored, write); break;
    case 9: topic_again(wire::Topics(), as_text(input)); break;
    case 10: again(input, wire::decode_assignment, write); break;
    case 11: again(input, wire::decode_approval, write); break;
    case 12: again(input, wire::decode_enrolment, write); break;
    default: prefixed(as_text(input)); break;
  }
}

}  // namespace
}  // namespace instar::fuzz_wire

INSTAR_FUZZ_TARGET(wire, instar::fuzz_wire::run)
