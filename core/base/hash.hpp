// A BLAKE2b-256 digest as a value: the name of artifacts, chunks, packs and manifests.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/bytes.hpp"

namespace instar {

struct Hash256 {
  std::array<std::uint8_t, 32> bytes{};

  friend auto operator<=>(const Hash256&, const Hash256&) = default;

  [[nodiscard]] bool is_zero() const noexcept { return *this == Hash256{}; }
  [[nodiscard]] std::string hex() const { return to_hex(bytes); }
  // First 8 bytes in hex: enough for people and topics.
  [[nodiscard]] std::string short_hex() const { return to_hex(ByteView(bytes).first(8)); }
  // First 8 bytes, little-endian.
  [[nodiscard]] std::uint64_t prefix64() const noexcept {
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | bytes[static_cast<std::size_t>(i)];
    return value;
  }
  [[nodiscard]] static std::optional<Hash256> from_hex(std::string_view hex) {
    Bytes decoded;
    if (hex.size() != 64 || !instar::from_hex(hex, decoded)) return std::nullopt;
    return from_bytes(decoded);
  }
  [[nodiscard]] static std::optional<Hash256> from_bytes(ByteView view) {
    if (view.size() != 32) return std::nullopt;
    Hash256 hash;
    std::memcpy(hash.bytes.data(), view.data(), 32);
    return hash;
  }
};

// A hash that names one kind of thing. It is a Hash256 wherever any hash will do (printing, keys, comparing with a
// digest); a Hash256, or the name of another kind of thing, becomes one only where the code says so.
template <typename Thing>
struct NameOf : Hash256 {
  NameOf() = default;
  explicit NameOf(const Hash256& hash) noexcept : Hash256(hash) {}

  [[nodiscard]] static std::optional<NameOf> from_hex(std::string_view hex) { return named(Hash256::from_hex(hex)); }
  [[nodiscard]] static std::optional<NameOf> from_bytes(ByteView view) { return named(Hash256::from_bytes(view)); }

  friend auto operator<=>(const NameOf&, const NameOf&) = default;
  // Two kinds of things are never the same.
  template <typename Other>
  requires(!std::is_same_v<Thing, Other>) friend bool operator==(const NameOf&, const NameOf<Other>&) = delete;

 private:
  [[nodiscard]] static std::optional<NameOf> named(const std::optional<Hash256>& hash) {
    return hash ? std::optional(NameOf(*hash)) : std::nullopt;
  }
};

using ArtifactId = NameOf<struct ArtifactThing>;  // of an artifact's index
using PackId = NameOf<struct PackThing>;          // of a pack's directory
using ManifestId = NameOf<struct ManifestThing>;  // of a manifest's payload: the rollout's name
using ChunkHash = NameOf<struct ChunkThing>;      // of a chunk's decoded bytes

}  // namespace instar

template <>
struct std::hash<instar::Hash256> {
  std::size_t operator()(const instar::Hash256& value) const noexcept {
    return static_cast<std::size_t>(value.prefix64());
  }
};

template <typename Thing>
struct std::hash<instar::NameOf<Thing>> : std::hash<instar::Hash256> {};
