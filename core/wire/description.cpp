#include "core/wire/description.hpp"

#include <algorithm>
#include <span>

#include "core/base/limits.hpp"
#include "core/wire/description_fields.hpp"
#include "core/wire/revision_info.hpp"

namespace instar::wire {
namespace {

// Numbers that a later version may have added to are kept as they are.
template <typename Number>
Result<std::vector<Number>> read_numbers(const flatbuffers::Vector<std::uint8_t>* from, std::string_view field,
                                         std::size_t count_max) {
  const auto read_one = [](std::uint8_t number) { return Result<Number>(static_cast<Number>(number)); };
  return read_each<Number>(from, field, 0, count_max, read_one);
}

// What the device is: fixed while its client runs.
Status read_machine(const fb::Description& from, Description& to) {
  INSTAR_TRY(to.product, read_name(from.product(), "product"));
  INSTAR_TRY(to.groups, read_groups(from.groups(), "groups", 0));
  INSTAR_TRY(to.architecture, read_line(from.architecture(), "architecture", limits::kNameBytesMax));
  INSTAR_TRY(to.kernel, read_line(from.kernel(), "kernel", limits::kNameBytesMax));
  INSTAR_TRY(to.client_version, read_line(from.client_version(), "client_version", limits::kNameBytesMax));
  to.memory_bytes = from.memory_bytes();
  to.free_bytes = from.free_bytes();
  to.metered = from.metered();
  return {};
}

flatbuffers::Offset<FlatStrings> write_degraded(FlatBuilder& builder, const std::vector<std::string>& degraded) {
  std::vector<FlatString> texts;
  for (const auto& text : degraded) {
    if (texts.size() < limits::kDegradedMax && !text.empty())
      texts.push_back(write_clean(builder, text, limits::kTextBytesMax));
  }
  return texts.empty() ? 0 : builder.CreateVector(texts);
}

}  // namespace

Result<Description> read_description(const fb::Description& from) {
  Description to;
  INSTAR_CHECK(read_machine(from, to));
  INSTAR_TRY(to.running, read_revision(from.running(), "running"));
  INSTAR_TRY(to.previous, read_revision(from.previous(), "previous"));
  INSTAR_TRY(to.pack_formats, read_numbers<std::uint8_t>(from.pack_formats(), "pack_formats", limits::kPackFormatsMax));
  to.root_version = from.root_version();
  const auto read_one = [](const flatbuffers::String* text) { return read_text(text, "text", limits::kTextBytesMax); };
  INSTAR_TRY(to.degraded, read_each<std::string>(from.degraded(), "degraded", 0, limits::kDegradedMax, read_one));
  INSTAR_TRY(to.image_formats,
             read_numbers<ImageFormat>(from.image_formats(), "image_formats", limits::kImageFormatsMax));
  const auto read_handler = [](const flatbuffers::String* name) { return read_name(name, "handler"); };
  INSTAR_TRY(to.handlers, read_each<std::string>(from.handlers(), "handlers", 0, limits::kHandlersMax, read_handler));
  return to;
}

flatbuffers::Offset<fb::Description> write_description(FlatBuilder& builder, const Description& from) {
  const auto product = builder.CreateString(from.product);
  const auto groups = write_groups(builder, from.groups);
  const auto architecture = write_clean(builder, from.architecture, limits::kNameBytesMax);
  const auto kernel = write_clean(builder, from.kernel, limits::kNameBytesMax);
  const auto client_version = write_clean(builder, from.client_version, limits::kNameBytesMax);
  const auto running = write_revision(builder, from.running);
  const auto previous = write_revision(builder, from.previous);
  const auto pack_formats = from.pack_formats.empty() ? 0 : builder.CreateVector(from.pack_formats);
  const auto degraded = write_degraded(builder, from.degraded);
  std::vector<std::uint8_t> formats;
  for (const auto format : from.image_formats) formats.push_back(static_cast<std::uint8_t>(format));
  const auto image_formats = formats.empty() ? 0 : builder.CreateVector(formats);
  const std::span handlers_first(from.handlers.data(), std::min(from.handlers.size(), limits::kHandlersMax));
  const auto handlers =
      handlers_first.empty() ? 0 : builder.CreateVectorOfStrings(handlers_first.begin(), handlers_first.end());
  return fb::CreateDescription(builder, product, groups, architecture, kernel, client_version, from.memory_bytes,
                               from.free_bytes, from.metered, running, previous, pack_formats, from.root_version,
                               degraded, image_formats, handlers);
}

Bytes encode_description(const Description& description) {
  FlatBuilder builder(512);
  builder.Finish(write_description(builder, description), fb::DescriptionIdentifier());
  return flat::take(builder);
}

Result<Description> decode_description(ByteView bytes) {
  INSTAR_TRY(const auto from, flat::open<fb::Description>(bytes, "description", fb::DescriptionIdentifier()));
  INSTAR_TRY(auto description, read_in("description", read_description(*from)));
  if (!std::ranges::equal(encode_description(description), bytes)) return fail(Code::malformed, "description: damaged");
  return description;
}

}  // namespace instar::wire
