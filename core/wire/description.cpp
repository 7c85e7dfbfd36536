#include "core/wire/description.hpp"

#include <algorithm>
#include <span>

#include "core/base/limits.hpp"
#include "core/wire/description_fields.hpp"
#include "core/wire/revision_info.hpp"

namespace instar::wire {
namespace {

// Not a hello: it has no device, no key and no attempt.
constexpr const char* kDescriptionIdentifier = "INDE";

// Numbers that a later version may have added to are kept as they are.
template <typename Number>
Result<std::vector<Number>> read_numbers(const flatbuffers::Vector<std::uint8_t>* from, std::string_view field,
                                         std::size_t count_max) {
  const auto read_one = [](std::uint8_t number) { return Result<Number>(static_cast<Number>(number)); };
  return read_each<Number>(from, field, 0, count_max, read_one);
}

// What the device is: fixed while its client runs.
Status read_machine(const fb::Hello& from, Description& to) {
  INSTAR_TRY(to.product, read_product(from.product()));
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
      texts.push_back(write_clean(builder, text, limits::kDegradedBytesMax));
  }
  return texts.empty() ? 0 : builder.CreateVector(texts);
}

// An empty list is absent.
flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> write_numbers(FlatBuilder& builder,
                                                                     const std::vector<std::uint8_t>& numbers) {
  return numbers.empty() ? 0 : builder.CreateVector(numbers);
}

std::vector<std::uint8_t> numbers_of(const std::vector<ImageFormat>& formats) {
  std::vector<std::uint8_t> numbers;
  for (const auto format : formats) numbers.push_back(static_cast<std::uint8_t>(format));
  return numbers;
}

flatbuffers::Offset<FlatStrings> write_handlers(FlatBuilder& builder, const std::vector<std::string>& handlers) {
  const std::span first(handlers.data(), std::min(handlers.size(), limits::kHandlersMax));
  return first.empty() ? 0 : builder.CreateVectorOfStrings(first.begin(), first.end());
}

}  // namespace

std::string_view clock_state_name(ClockState state) noexcept {
  switch (state) {
    case ClockState::unknown: return "unknown";
    case ClockState::none: return "none";
    case ClockState::free: return "free";
    case ClockState::synchronized: return "synchronized";
  }
  return "unknown";
}

Result<Description> read_description(const fb::Hello& from) {
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
  to.highest_sequence = from.highest_sequence();
  INSTAR_TRY(to.time, read_time(from.time_ms(), "time_ms"));
  // A state of a later version says nothing that this one could use.
  const auto clock = static_cast<ClockState>(from.clock());
  if (clock <= ClockState::synchronized) to.clock = clock;
  return to;
}

DescriptionWriter::DescriptionWriter(FlatBuilder& builder, const Description& description)
    : description_(description),
      product_(builder.CreateString(description.product)),
      groups_(write_groups(builder, description.groups)),
      architecture_(write_clean(builder, description.architecture, limits::kNameBytesMax)),
      kernel_(write_clean(builder, description.kernel, limits::kNameBytesMax)),
      client_version_(write_clean(builder, description.client_version, limits::kNameBytesMax)),
      running_(write_revision(builder, description.running)),
      previous_(write_revision(builder, description.previous)),
      pack_formats_(write_numbers(builder, description.pack_formats)),
      degraded_(write_degraded(builder, description.degraded)),
      image_formats_(write_numbers(builder, numbers_of(description.image_formats))),
      handlers_(write_handlers(builder, description.handlers)) {}

void DescriptionWriter::add_to(fb::HelloBuilder& table) const {
  table.add_time_ms(flat_time(description_.time));
  table.add_highest_sequence(description_.highest_sequence);
  table.add_free_bytes(description_.free_bytes);
  table.add_memory_bytes(description_.memory_bytes);
  table.add_handlers(handlers_);
  table.add_image_formats(image_formats_);
  table.add_degraded(degraded_);
  table.add_root_version(description_.root_version);
  table.add_pack_formats(pack_formats_);
  table.add_previous(previous_);
  table.add_running(running_);
  table.add_client_version(client_version_);
  table.add_kernel(kernel_);
  table.add_architecture(architecture_);
  table.add_groups(groups_);
  table.add_product(product_);
  table.add_metered(description_.metered);
  table.add_clock(static_cast<fb::ClockState>(description_.clock));
}

Bytes encode_description(const Description& description) {
  FlatBuilder builder(512);
  const DescriptionWriter writer(builder, description);
  fb::HelloBuilder table(builder);
  writer.add_to(table);
  builder.Finish(table.Finish(), kDescriptionIdentifier);
  return flat::take(builder);
}

Result<Description> decode_description(ByteView bytes) {
  INSTAR_TRY(const auto from, flat::open<fb::Hello>(bytes, "description", kDescriptionIdentifier));
  INSTAR_TRY(auto description, read_in("description", read_description(*from)));
  if (!std::ranges::equal(encode_description(description), bytes)) return fail(Code::malformed, "description: damaged");
  return description;
}

}  // namespace instar::wire
