#include "publisher/archive/blob_digest.hpp"

#include <sodium.h>

#include <algorithm>
#include <new>

#include "core/base/hash.hpp"

namespace instar::publisher {
namespace {

static_assert(sizeof(crypto_hash_sha256_state) <= 256 && sizeof(crypto_hash_sha512_state) <= 256);

crypto_hash_sha256_state* of_sha256(std::array<std::byte, 256>& state) noexcept {
  return std::launder(reinterpret_cast<crypto_hash_sha256_state*>(state.data()));
}
crypto_hash_sha512_state* of_sha512(std::array<std::byte, 256>& state) noexcept {
  return std::launder(reinterpret_cast<crypto_hash_sha512_state*>(state.data()));
}

bool is_lower_hex(std::string_view text, std::size_t digits) noexcept {
  return text.size() == digits &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

constexpr std::string_view kSha256Prefix = "sha256:";
constexpr std::string_view kSha512Prefix = "sha512:";
constexpr std::size_t kShownBytes = 160;

}  // namespace

std::string_view BlobDigest::algorithm() const noexcept {
  return kind == DigestKind::sha256 ? "sha256" : "sha512";
}

std::string BlobDigest::str() const {
  return std::string(algorithm()) + ":" + hex;
}

bool is_sha256_hex(std::string_view text) noexcept {
  return is_lower_hex(text, crypto_hash_sha256_BYTES * std::size_t{2});
}

Result<BlobDigest> parse_blob_digest(std::string_view text) {
  if (text.starts_with(kSha256Prefix) && is_sha256_hex(text.substr(kSha256Prefix.size())))
    return BlobDigest{DigestKind::sha256, std::string(text.substr(kSha256Prefix.size()))};
  if (text.starts_with(kSha512Prefix) &&
      is_lower_hex(text.substr(kSha512Prefix.size()), crypto_hash_sha512_BYTES * std::size_t{2}))
    return BlobDigest{DigestKind::sha512, std::string(text.substr(kSha512Prefix.size()))};
  return fail(Code::malformed, "'" + std::string(text.substr(0, kShownBytes)) +
                                   "' is no digest: it must be sha256: and 64 digits of 0-9 a-f, or sha512: and 128");
}

BlobHasher::BlobHasher(DigestKind kind) noexcept : kind_(kind), state_() {
  if (kind_ == DigestKind::sha256) {
    crypto_hash_sha256_init(new (state_.data()) crypto_hash_sha256_state);
  } else {
    crypto_hash_sha512_init(new (state_.data()) crypto_hash_sha512_state);
  }
}

void BlobHasher::update(ByteView bytes) noexcept {
  if (kind_ == DigestKind::sha256) {
    crypto_hash_sha256_update(of_sha256(state_), bytes.data(), bytes.size());
  } else {
    crypto_hash_sha512_update(of_sha512(state_), bytes.data(), bytes.size());
  }
}

BlobDigest BlobHasher::finish() noexcept {
  if (kind_ == DigestKind::sha256) {
    std::array<std::uint8_t, crypto_hash_sha256_BYTES> digest{};
    crypto_hash_sha256_final(of_sha256(state_), digest.data());
    return {kind_, to_hex(digest)};
  }
  std::array<std::uint8_t, crypto_hash_sha512_BYTES> digest{};
  crypto_hash_sha512_final(of_sha512(state_), digest.data());
  return {kind_, to_hex(digest)};
}

BlobDigest blob_digest(DigestKind kind, ByteView bytes) noexcept {
  BlobHasher hasher(kind);
  hasher.update(bytes);
  return hasher.finish();
}

Result<std::size_t> HashedSource::read(std::span<std::uint8_t> out) {
  INSTAR_TRY(const std::size_t got, from_.read(out));
  hasher_.update(ByteView(out.data(), got));
  return got;
}

}  // namespace instar::publisher
