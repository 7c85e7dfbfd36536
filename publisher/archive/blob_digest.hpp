// Digests as container images write them: "sha256:" and 64 hex digits, or "sha512:" and 128.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "publisher/archive/byte_source.hpp"

namespace instar::publisher {

enum class DigestKind : std::uint8_t { sha256, sha512 };

struct BlobDigest {
  DigestKind kind = DigestKind::sha256;
  std::string hex;  // lower case
  [[nodiscard]] std::string str() const;
  [[nodiscard]] std::string_view algorithm() const noexcept;
  friend bool operator==(const BlobDigest&, const BlobDigest&) = default;
};

// Errors: malformed (anything else; a digest is part of a path, so nothing else gets through).
[[nodiscard]] Result<BlobDigest> parse_blob_digest(std::string_view text);
// Whether this is what a digest of that kind has behind the colon.
[[nodiscard]] bool is_sha256_hex(std::string_view text) noexcept;

// Hashes a stream piece by piece.
class BlobHasher {
 public:
  explicit BlobHasher(DigestKind kind) noexcept;
  void update(ByteView bytes) noexcept;
  // Ends the stream; call once.
  [[nodiscard]] BlobDigest finish() noexcept;

 private:
  DigestKind kind_;
  // Room for libsodium's states (208 bytes at most), so that its header is not needed here.
  alignas(8) std::array<std::byte, 256> state_;
};

[[nodiscard]] BlobDigest blob_digest(DigestKind kind, ByteView bytes) noexcept;

// Passes on what another source has, and hashes it.
class HashedSource final : public ByteSource {
 public:
  HashedSource(ByteSource& from, DigestKind kind) : from_(from), hasher_(kind) {}
  [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out) override;
  // Of all that was read. Call once.
  [[nodiscard]] BlobDigest finish() noexcept { return hasher_.finish(); }

 private:
  ByteSource& from_;
  BlobHasher hasher_;
};

}  // namespace instar::publisher
