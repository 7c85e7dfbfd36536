#include <algorithm>
#include <span>

#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/revision_info.hpp"
#include "schemas/hello_generated.h"

namespace instar::wire {
namespace {

Status read_identity(const fb::Hello& from, Hello& to) {
  INSTAR_TRY(to.device, read_device(from.device(), "device"));
  const auto* key = from.public_key();
  INSTAR_TRY(to.key, read_in("public_key", trust::PublicKey::from_bytes(ByteView(key->data(), key->size()))));
  INSTAR_TRY(to.product, read_name(from.product(), "product"));
  INSTAR_TRY(to.groups, read_groups(from.groups(), "groups", 0));
  INSTAR_TRY(to.architecture, read_line(from.architecture(), "architecture", limits::kNameBytesMax));
  INSTAR_TRY(to.kernel, read_line(from.kernel(), "kernel", limits::kNameBytesMax));
  INSTAR_TRY(to.client_version, read_line(from.client_version(), "client_version", limits::kNameBytesMax));
  return {};
}

Result<Hello> read_hello(const fb::Hello& from) {
  INSTAR_CHECK(check_format(from.format()));
  Hello hello;
  INSTAR_CHECK(read_identity(from, hello));
  hello.memory_bytes = from.memory_bytes();
  hello.free_bytes = from.free_bytes();
  hello.metered = from.metered();
  INSTAR_TRY(hello.running, read_revision(from.running(), "running"));
  INSTAR_TRY(hello.previous, read_revision(from.previous(), "previous"));
  hello.rollout = ManifestId(read_hash(from.rollout()));
  INSTAR_TRY(hello.step, read_enum(from.step(), Step::failed, "step"));
  hello.attempt = from.attempt();
  hello.last_sequence = from.last_sequence();
  hello.acked_sequence = from.acked_sequence();
  hello.boot = from.boot();
  hello.connect = from.connect();
  INSTAR_CHECK(check_range(count_of(from.pack_formats()), 0, limits::kPackFormatsMax, "pack_formats"));
  if (from.pack_formats() != nullptr)
    hello.pack_formats.assign(from.pack_formats()->begin(), from.pack_formats()->end());
  hello.root_version = from.root_version();
  const auto read_one = [](const flatbuffers::String* text) { return read_text(text, "text", limits::kTextBytesMax); };
  INSTAR_TRY(hello.degraded, read_each<std::string>(from.degraded(), "degraded", 0, limits::kDegradedMax, read_one));
  hello.asks_start = from.asks_start();
  INSTAR_CHECK(check_range(count_of(from.image_formats()), 0, limits::kImageFormatsMax, "image_formats"));
  if (from.image_formats() != nullptr)
    hello.image_formats.assign(from.image_formats()->begin(), from.image_formats()->end());
  const auto read_handler = [](const flatbuffers::String* name) { return read_name(name, "handler"); };
  INSTAR_TRY(hello.handlers,
             read_each<std::string>(from.handlers(), "handlers", 0, limits::kHandlersMax, read_handler));
  return hello;
}

}  // namespace

Bytes encode(const Hello& hello) {
  FlatBuilder builder(1024);
  const auto device = builder.CreateString(hello.device.str());
  const auto key = builder.CreateVector(hello.key.bytes.data(), hello.key.bytes.size());
  const auto product = builder.CreateString(hello.product);
  const auto groups = write_groups(builder, hello.groups);
  const auto architecture = write_clean(builder, hello.architecture, limits::kNameBytesMax);
  const auto kernel = write_clean(builder, hello.kernel, limits::kNameBytesMax);
  const auto client_version = write_clean(builder, hello.client_version, limits::kNameBytesMax);
  const auto running = write_revision(builder, hello.running);
  const auto previous = write_revision(builder, hello.previous);
  const auto pack_formats = hello.pack_formats.empty() ? 0 : builder.CreateVector(hello.pack_formats);
  std::vector<FlatString> texts;
  for (const auto& text : hello.degraded) {
    if (texts.size() < limits::kDegradedMax && !text.empty())
      texts.push_back(write_clean(builder, text, limits::kTextBytesMax));
  }
  const auto degraded = texts.empty() ? 0 : builder.CreateVector(texts);
  const auto image_formats = hello.image_formats.empty() ? 0 : builder.CreateVector(hello.image_formats);
  const std::span handlers_told(hello.handlers.data(), std::min(hello.handlers.size(), limits::kHandlersMax));
  const auto handlers =
      handlers_told.empty() ? 0 : builder.CreateVectorOfStrings(handlers_told.begin(), handlers_told.end());
  const auto rollout = flat_hash(hello.rollout);
  const auto table = fb::CreateHello(
      builder, 1, device, key, product, groups, architecture, kernel, client_version, hello.memory_bytes,
      hello.free_bytes, hello.metered, running, previous, hello.rollout.is_zero() ? nullptr : &rollout,
      static_cast<fb::Step>(hello.step), hello.attempt, hello.last_sequence, hello.acked_sequence, hello.boot,
      hello.connect, pack_formats, hello.root_version, degraded, hello.asks_start, image_formats, handlers);
  builder.Finish(table, fb::HelloIdentifier());
  return flat::take(builder);
}

Result<Hello> decode_hello(ByteView payload) {
  INSTAR_TRY(const auto from, flat::open<fb::Hello>(payload, "hello", fb::HelloIdentifier()));
  return read_in("hello", read_hello(*from));
}

}  // namespace instar::wire
