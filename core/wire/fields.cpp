#include "core/wire/fields.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/base/text.hpp"

namespace instar::wire {

tl::unexpected<Error> bad_field(std::string_view field, std::string_view what) {
  return fail(Code::malformed, std::string(field) + " " + std::string(what));
}

Status check_range(std::uint64_t value, std::uint64_t least, std::uint64_t most, std::string_view field) {
  if (value < least) return bad_field(field, "is " + std::to_string(value) + ", the least is " + std::to_string(least));
  if (value > most) {
    return fail(Code::too_large,
                std::string(field) + " is " + std::to_string(value) + ", the most is " + std::to_string(most));
  }
  return {};
}

Status check_format(std::uint8_t format) {
  if (format == 0) return bad_field("format", "is 0");
  if (format > 1) return flat::newer("format", format);
  return {};
}

Result<std::string> read_name(const flatbuffers::String* text, std::string_view field) {
  return read_name(flat::view(text), field);
}

Result<std::string> read_name(std::string_view name, std::string_view field) {
  if (name.size() > limits::kNameBytesMax)
    INSTAR_CHECK(check_range(name.size(), 1, limits::kNameBytesMax, std::string(field) + " (bytes)"));
  if (!is_name(name)) return bad_field(field, "must be 1 to 64 of A-Z a-z 0-9 _ - . and not start with '.'");
  return std::string(name);
}

Result<std::string> read_product(const flatbuffers::String* text) {
  return read_product(flat::view(text));
}

Result<std::string> read_product(std::string_view product) {
  if (product.size() > limits::kNameBytesMax)
    INSTAR_CHECK(check_range(product.size(), 1, limits::kNameBytesMax, "product (bytes)"));
  if (!is_product(product)) return bad_field("product", kProductRule);
  return std::string(product);
}

Result<std::string> read_text(const flatbuffers::String* text, std::string_view field, std::size_t bytes_max) {
  return read_text(flat::view(text), field, bytes_max);
}

Result<std::string> read_text(std::string_view text, std::string_view field, std::size_t bytes_max) {
  if (text.size() > bytes_max) INSTAR_CHECK(check_range(text.size(), 0, bytes_max, std::string(field) + " (bytes)"));
  if (!is_clean_text(text)) return bad_field(field, "is not clean text (UTF-8 without control or hidden characters)");
  return std::string(text);
}

Result<std::string> read_line(const flatbuffers::String* text, std::string_view field, std::size_t bytes_max) {
  INSTAR_TRY(auto line, read_text(text, field, bytes_max));
  if (line.find_first_of("\n\t") != std::string::npos) return bad_field(field, "must be one line without tabs");
  return line;
}

Result<DeviceId> read_device(const flatbuffers::String* text, std::string_view field) {
  return read_device(flat::view(text), field);
}

Result<DeviceId> read_device(std::string_view text, std::string_view field) {
  auto device = DeviceId::parse(text);
  if (!device) return bad_field(field, "must be 1 to 64 of A-Z a-z 0-9 _ -");
  return device;
}

Result<std::vector<GroupPath>> read_groups(const FlatStrings* texts, std::string_view field, std::size_t least) {
  const auto read = [](const flatbuffers::String* text) -> Result<GroupPath> {
    auto group = GroupPath::parse(flat::view(text));
    if (!group) return fail(Code::malformed, "not a group: 1 to 4 levels of A-Z a-z 0-9 _ - joined by '/'");
    return group;
  };
  INSTAR_TRY(auto groups, read_each<GroupPath>(texts, field, least, limits::kGroupsMax, read));
  auto sorted = groups;
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end()) return bad_field(field, "names a group twice");
  return groups;
}

Hash256 read_hash(const fb::Hash256* hash) {
  Hash256 out;
  if (hash != nullptr) std::ranges::copy(*hash->bytes(), out.bytes.begin());
  return out;
}

Result<Hash256> read_nonzero_hash(const fb::Hash256* hash, std::string_view field) {
  const Hash256 out = read_hash(hash);
  if (out.is_zero()) return bad_field(field, "is missing or zero");
  return out;
}

Result<WallMs> read_time(std::uint64_t value, std::string_view field) {
  if (value > static_cast<std::uint64_t>(limits::kWallMsMax)) return bad_field(field, "is after the year 9999");
  return WallMs{static_cast<std::int64_t>(value)};
}

std::string element(std::string_view field, std::size_t index) {
  return std::string(field) + "[" + std::to_string(index) + "]";
}

fb::Hash256 flat_hash(const Hash256& hash) {
  return fb::Hash256(flatbuffers::span<const std::uint8_t, 32>(hash.bytes));
}

std::uint64_t flat_time(WallMs time) noexcept {
  return static_cast<std::uint64_t>(std::clamp<std::int64_t>(time.value, 0, limits::kWallMsMax));
}

FlatString write_optional(FlatBuilder& builder, std::string_view text) {
  return text.empty() ? FlatString{} : builder.CreateString(text.data(), text.size());
}

FlatString write_clean(FlatBuilder& builder, std::string_view text, std::size_t bytes_max) {
  return write_optional(builder, clean_text(text, bytes_max));
}

flatbuffers::Offset<FlatStrings> write_strings(FlatBuilder& builder, const std::vector<std::string>& texts) {
  std::vector<FlatString> offsets;
  offsets.reserve(texts.size());
  for (const auto& text : texts) offsets.push_back(builder.CreateString(text));
  return builder.CreateVector(offsets);
}

flatbuffers::Offset<FlatStrings> write_groups(FlatBuilder& builder, const std::vector<GroupPath>& groups) {
  std::vector<FlatString> offsets;
  offsets.reserve(groups.size());
  for (const auto& group : groups) offsets.push_back(builder.CreateString(group.str()));
  return builder.CreateVector(offsets);
}

}  // namespace instar::wire
