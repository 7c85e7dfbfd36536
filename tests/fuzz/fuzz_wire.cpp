// Every decoder of core/wire. The first byte picks one, the rest is its input. What is taken must be written in a form
// that is taken again and says the same.
#include <cstdint>
#include <cstdlib>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/topics.hpp"

namespace {

using namespace instar;

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
    case TopicKind::group_manifest: return topics.manifest(topic.group);
    case TopicKind::group_gate: return topics.gate(topic.group);
    case TopicKind::rollout_status: return topics.status(topic.rollout);
    case TopicKind::operator_put: return topics.put(topic.client);
    case TopicKind::operator_stored: return topics.stored(topic.client);
    case TopicKind::control: return topics.control();
    case TopicKind::control_response: return topics.control_response();
    default: return topics.device(topic.device, topic.kind);
  }
}

void topic_again(std::string_view text) {
  const wire::Topics topics;
  const auto topic = topics.parse(text);
  if (topic.has_value()) INSTAR_ASSERT(rebuilt(topics, *topic) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  const auto write = [](const auto& value) { return wire::encode(value); };
  switch (data[0] % 10) {
    case 0: again(input, wire::decode_manifest, wire::encode_manifest); break;
    case 1: again(input, wire::decode_gate, write); break;
    case 2: again(input, wire::decode_hello, write); break;
    case 3: again(input, wire::decode_report, write); break;
    case 4: again(input, wire::decode_fetch, write); break;
    case 5: again(input, wire::decode_chunk_piece, write); break;
    case 6: again(input, wire::decode_ack, write); break;
    case 7: again(input, wire::decode_put, write); break;
    case 8: again(input, wire::decode_stored, write); break;
    default: topic_again(as_text(input)); break;
  }
  return 0;
}
