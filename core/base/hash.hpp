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

// What a hash names. One hash cannot stand for another kind of thing.
using ArtifactId = Hash256;  // of an artifact's index
using PackId = Hash256;      // of a pack's directory
using ManifestId = Hash256;  // of a manifest's payload: the rollout's name
using ChunkHash = Hash256;   // of a chunk's decoded bytes

}  // namespace instar

template <>
struct std::hash<instar::Hash256> {
  std::size_t operator()(const instar::Hash256& value) const noexcept {
    return static_cast<std::size_t>(value.prefix64());
  }
};
