#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/messages.hpp"
#include "schemas/ack_generated.h"

namespace instar::wire {

Bytes encode(const Ack& ack) {
  FlatBuilder builder(128);
  const auto reason = write_clean(builder, ack.reason, limits::kTextBytesMax);
  std::vector<flatbuffers::Offset<fb::Ending>> endings;
  for (const auto& gate : ack.endings)
    endings.push_back(fb::CreateEnding(builder, builder.CreateVector(gate.data(), gate.size())));
  const auto list = endings.empty() ? 0 : builder.CreateVector(endings);
  builder.Finish(fb::CreateAck(builder, ack.sequence, static_cast<std::uint16_t>(ack.code), reason, ack.start_rollout,
                               ack.start_attempt, ack.boot, ack.instance, list),
                 fb::AckIdentifier());
  return flat::take(builder);
}

Result<Ack> decode_ack(ByteView bytes) {
  INSTAR_TRY(const auto from, flat::open<fb::Ack>(bytes, "ack", fb::AckIdentifier()));
  Ack ack;
  ack.sequence = from->sequence();
  ack.code = static_cast<Code>(from->code());
  INSTAR_TRY(ack.reason, read_in("ack", read_text(from->reason(), "reason", limits::kTextBytesMax)));
  ack.start_rollout = from->start_rollout();
  ack.start_attempt = from->start_attempt();
  ack.boot = from->boot();
  ack.instance = from->instance();
  const auto* endings = from->endings();
  if (endings == nullptr) return ack;
  INSTAR_CHECK(read_in("ack", check_range(endings->size(), 0, limits::kAckEndingsMax, "endings")));
  for (const auto* ending : *endings) {
    const auto* gate = ending->gate();
    INSTAR_CHECK(read_in("ack", check_range(gate->size(), 1, limits::kMessageBytesMax, "endings (bytes)")));
    ack.endings.emplace_back(gate->begin(), gate->end());
  }
  return ack;
}

}  // namespace instar::wire
