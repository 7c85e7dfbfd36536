#include "core/wire/description_fields.hpp"
#include "core/wire/messages.hpp"
#include "schemas/hello_generated.h"

namespace instar::wire {
namespace {

Result<Hello> read_hello(const fb::Hello& from) {
  INSTAR_CHECK(check_format(from.format()));
  Hello hello;
  INSTAR_TRY(hello.device, read_device(from.device(), "device"));
  const auto* key = from.public_key();
  INSTAR_TRY(hello.key, read_in("public_key", trust::PublicKey::from_bytes(ByteView(key->data(), key->size()))));
  INSTAR_TRY(hello.description, read_description(*from.description()));
  hello.rollout = ManifestId(read_hash(from.rollout()));
  INSTAR_TRY(hello.step, read_enum(from.step(), Step::failed, "step"));
  hello.attempt = from.attempt();
  hello.asks_start = from.asks_start();
  hello.last_sequence = from.last_sequence();
  hello.acked_sequence = from.acked_sequence();
  hello.boot = from.boot();
  hello.connect = from.connect();
  return hello;
}

}  // namespace

Bytes encode(const Hello& hello) {
  FlatBuilder builder(1024);
  const auto device = builder.CreateString(hello.device.str());
  const auto key = builder.CreateVector(hello.key.bytes.data(), hello.key.bytes.size());
  const auto description = write_description(builder, hello.description);
  const auto rollout = flat_hash(hello.rollout);
  const auto table = fb::CreateHello(builder, 1, device, key, description, hello.rollout.is_zero() ? nullptr : &rollout,
                                     static_cast<fb::Step>(hello.step), hello.attempt, hello.asks_start,
                                     hello.last_sequence, hello.acked_sequence, hello.boot, hello.connect);
  builder.Finish(table, fb::HelloIdentifier());
  return flat::take(builder);
}

Result<Hello> decode_hello(ByteView payload) {
  INSTAR_TRY(const auto from, flat::open<fb::Hello>(payload, "hello", fb::HelloIdentifier()));
  return read_in("hello", read_hello(*from));
}

}  // namespace instar::wire
