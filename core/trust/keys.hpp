// Ed25519 keys (RFC 8032, by libsodium). There is no randomness in here: the shell provides the seed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::trust {

// BLAKE2b-256 of the public key, first 8 bytes, little-endian.
using KeyId = std::uint64_t;

struct PublicKey {
  std::array<std::uint8_t, 32> bytes{};
  friend auto operator<=>(const PublicKey&, const PublicKey&) = default;
  [[nodiscard]] KeyId id() const noexcept;
  [[nodiscard]] static Result<PublicKey> from_bytes(ByteView bytes);
};

using Signature = std::array<std::uint8_t, 64>;

// The destructor wipes it from memory.
class SecretKey {
 public:
  // The same seed (32 bytes) gives the same key.
  [[nodiscard]] static Result<SecretKey> from_seed(ByteView seed);
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();

  [[nodiscard]] PublicKey public_key() const noexcept;
  [[nodiscard]] Signature sign(ByteView message) const noexcept;
  [[nodiscard]] ByteView seed() const noexcept;

 private:
  SecretKey() = default;
  std::array<std::uint8_t, 64> bytes_{};
};

[[nodiscard]] bool verify(const PublicKey& key, ByteView message, const Signature& signature) noexcept;

// Key files are text, one line: "instar-secret-key-v1 <hex of the seed>" or "instar-public-key-v1 <hex> [label]".
// docs/formats/keys.md
[[nodiscard]] std::string format_secret_key(const SecretKey& key);
[[nodiscard]] Result<SecretKey> parse_secret_key(std::string_view text);
[[nodiscard]] std::string format_public_key(const PublicKey& key, std::string_view label);
[[nodiscard]] Result<PublicKey> parse_public_key(std::string_view text);

}  // namespace instar::trust
