#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/messages.hpp"
#include "schemas/ack_generated.h"

namespace instar::wire {

Bytes encode(const Ack& ack) {
  FlatBuilder builder(128);
  const auto reason = write_clean(builder, ack.reason, limits::kTextBytesMax);
  builder.Finish(fb::CreateAck(builder, ack.sequence, static_cast<std::uint16_t>(ack.code), reason, ack.start_rollout,
                               ack.start_attempt, ack.boot, ack.instance),
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
  return ack;
}

}  // namespace instar::wire
