// Internal to core/wire, for .cpp files only: reads fields of messages with their bounds, and writes them.
// Every reader names the field in its error; read_in() adds the place.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/trust/flat.hpp"
#include "schemas/hash_generated.h"

namespace instar::wire {

using FlatBuilder = flatbuffers::FlatBufferBuilder;
using FlatString = flatbuffers::Offset<flatbuffers::String>;
using FlatStrings = flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>;

// --- reading -------------------------------------------------------------------------------------
[[nodiscard]] tl::unexpected<Error> bad_field(std::string_view field, std::string_view what);
// Errors: malformed below `least`, too_large above `most`.
[[nodiscard]] Status check_range(std::uint64_t value, std::uint64_t least, std::uint64_t most, std::string_view field);
[[nodiscard]] Status check_format(std::uint8_t format);

// Texts: of a table (absent reads as empty), or as they stand in a message that is none.
// is_name() text.
[[nodiscard]] Result<std::string> read_name(std::string_view name, std::string_view field);
[[nodiscard]] Result<std::string> read_name(const flatbuffers::String* text, std::string_view field);
// is_product() text.
[[nodiscard]] Result<std::string> read_product(std::string_view product);
[[nodiscard]] Result<std::string> read_product(const flatbuffers::String* text);
// Clean text of at most `bytes_max` bytes.
[[nodiscard]] Result<std::string> read_text(std::string_view text, std::string_view field, std::size_t bytes_max);
[[nodiscard]] Result<std::string> read_text(const flatbuffers::String* text, std::string_view field,
                                            std::size_t bytes_max);
// The same without line feeds and tabs.
[[nodiscard]] Result<std::string> read_line(const flatbuffers::String* text, std::string_view field,
                                            std::size_t bytes_max);
[[nodiscard]] Result<DeviceId> read_device(std::string_view text, std::string_view field);
[[nodiscard]] Result<DeviceId> read_device(const flatbuffers::String* text, std::string_view field);
// All are different; at least `least`, at most kGroupsMax.
[[nodiscard]] Result<std::vector<GroupPath>> read_groups(const FlatStrings* texts, std::string_view field,
                                                         std::size_t least);
// Absent reads as zero.
[[nodiscard]] Hash256 read_hash(const fb::Hash256* hash);
[[nodiscard]] Result<Hash256> read_nonzero_hash(const fb::Hash256* hash, std::string_view field);
// The same as the name of an `Id`; zero where it is absent is an error.
template <typename Id>
[[nodiscard]] Result<Id> read_id(const fb::Hash256* hash, std::string_view field) {
  INSTAR_TRY(const Hash256 bytes, read_nonzero_hash(hash, field));
  return Id(bytes);
}
// Before the end of the year 9999.
[[nodiscard]] Result<WallMs> read_time(std::uint64_t value, std::string_view field);

// A number of an enum whose last member is `last`. A greater one is unsupported, because a later version made it.
template <typename Enum, typename Flat>
[[nodiscard]] Result<Enum> read_enum(Flat value, Enum last, std::string_view field) {
  if (static_cast<std::uint64_t>(value) > static_cast<std::uint64_t>(last))
    return flat::newer(field, static_cast<std::uint64_t>(value));
  return static_cast<Enum>(value);
}

// The elements of a vector. An absent one has none.
template <typename Vector>
[[nodiscard]] std::size_t count_of(const Vector* vector) noexcept {
  return vector == nullptr ? 0 : vector->size();
}

[[nodiscard]] std::string element(std::string_view field, std::size_t index);

// Reads each element of `from` (absent: none) with `read` into a vector; at least `least`, at most `most`.
template <typename To, typename Vector, typename Read>
[[nodiscard]] Result<std::vector<To>> read_each(const Vector* from, std::string_view field, std::size_t least,
                                                std::size_t most, Read read) {
  INSTAR_CHECK(check_range(count_of(from), least, most, field));
  std::vector<To> out;
  out.reserve(count_of(from));
  for (std::size_t i = 0; i < count_of(from); ++i) {
    Result<To> value = read(from->Get(static_cast<flatbuffers::uoffset_t>(i)));
    if (!value) return fail(with_context(std::move(value.error()), element(field, i)));
    out.push_back(std::move(*value));
  }
  return out;
}

// Returns `result`. An error gets `place` before its text.
template <typename T>
[[nodiscard]] Result<T> read_in(std::string_view place, Result<T> result) {
  if (!result) return fail(with_context(std::move(result.error()), place));
  return result;
}

// --- writing -------------------------------------------------------------------------------------
// Each of these writes its children at once: call them one by one, before their table is begun, never as arguments of
// one call (the order of arguments differs between compilers, and with it the bytes).
[[nodiscard]] fb::Hash256 flat_hash(const Hash256& hash);
// Times before 1970 are written as 0, and times past the year 9999 as its end.
[[nodiscard]] std::uint64_t flat_time(WallMs time) noexcept;
// Absent when empty.
[[nodiscard]] FlatString write_optional(FlatBuilder& builder, std::string_view text);
// Applies clean_text(), because a reason may hold any bytes, and the receiver must still accept its message.
[[nodiscard]] FlatString write_clean(FlatBuilder& builder, std::string_view text, std::size_t bytes_max);
[[nodiscard]] flatbuffers::Offset<FlatStrings> write_strings(FlatBuilder& builder,
                                                             const std::vector<std::string>& texts);
[[nodiscard]] flatbuffers::Offset<FlatStrings> write_groups(FlatBuilder& builder, const std::vector<GroupPath>& groups);

}  // namespace instar::wire
