// BLAKE2b-256 (RFC 7693, by libsodium): the only hash of the system.
#pragma once

#include <array>
#include <cstddef>

#include "core/base/bytes.hpp"
#include "core/base/hash.hpp"

namespace instar::trust {

// Hashes a stream piece by piece. Not thread-safe; copyable mid-stream.
class Hasher {
 public:
  Hasher() noexcept;
  void update(ByteView bytes) noexcept;
  // Ends the stream; call once.
  [[nodiscard]] Hash256 finish() noexcept;

 private:
  // Room for libsodium's crypto_generichash_state (384 bytes, 64-byte aligned), so that its header is not needed here.
  alignas(64) std::array<std::byte, 384> state_;
};

[[nodiscard]] Hash256 digest(ByteView bytes) noexcept;

}  // namespace instar::trust
