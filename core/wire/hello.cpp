#include "core/base/limits.hpp"
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
  if (key == nullptr) return bad_field("public_key", "is missing");
  INSTAR_TRY(hello.key, read_in("public_key", trust::PublicKey::from_bytes(ByteView(key->data(), key->size()))));
  INSTAR_TRY(hello.description, read_description(from));
  hello.rollout = ManifestId(read_hash(from.rollout()));
  INSTAR_TRY(hello.step, read_enum(from.step(), Step::failed, "step"));
  hello.attempt = from.attempt();
  hello.asks_start = from.asks_start();
  hello.last_sequence = from.last_sequence();
  hello.acked_sequence = from.acked_sequence();
  hello.boot = from.boot();
  hello.connect = from.connect();
  hello.instance = from.instance();
  INSTAR_CHECK(check_range(count_of(from.token()), 0, limits::kTokenBytesMax, "token"));
  if (from.token() != nullptr) hello.token.assign(from.token()->begin(), from.token()->end());
  return hello;
}

}  // namespace

Bytes encode(const Hello& hello) {
  FlatBuilder builder(1024);
  const auto device = builder.CreateString(hello.device.str());
  const auto key = builder.CreateVector(hello.key.bytes.data(), hello.key.bytes.size());
  const DescriptionWriter description(builder, hello.description);
  const auto rollout = flat_hash(hello.rollout);
  const flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> token =
      hello.token.empty() ? 0 : builder.CreateVector(hello.token);
  fb::HelloBuilder table(builder);
  table.add_instance(hello.instance);
  table.add_acked_sequence(hello.acked_sequence);
  table.add_last_sequence(hello.last_sequence);
  description.add_to(table);
  table.add_connect(hello.connect);
  table.add_boot(hello.boot);
  table.add_attempt(hello.attempt);
  if (!hello.rollout.is_zero()) table.add_rollout(&rollout);
  table.add_token(token);
  table.add_public_key(key);
  table.add_device(device);
  table.add_asks_start(hello.asks_start);
  table.add_step(static_cast<fb::Step>(hello.step));
  table.add_format(1);
  builder.Finish(table.Finish(), fb::HelloIdentifier());
  return flat::take(builder);
}

Result<Hello> decode_hello(ByteView payload) {
  INSTAR_TRY(const auto from, flat::open<fb::Hello>(payload, "hello", fb::HelloIdentifier()));
  return read_in("hello", read_hello(*from));
}

}  // namespace instar::wire
