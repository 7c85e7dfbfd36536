#include "core/trust/keys.hpp"

#include <sodium.h>

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/sodium.hpp"

namespace instar::trust {
namespace {

constexpr std::string_view kSecretTag = "instar-secret-key-v1 ";
constexpr std::string_view kPublicTag = "instar-public-key-v1 ";
constexpr std::size_t kHexDigits = 64;  // of 32 bytes

static_assert(crypto_sign_PUBLICKEYBYTES == sizeof(PublicKey::bytes));
static_assert(crypto_sign_SECRETKEYBYTES == 64 && crypto_sign_SEEDBYTES == 32 &&
              crypto_sign_BYTES == sizeof(Signature));

// The only line of a key file, which has no line break except at the end.
Result<std::string_view> only_line(std::string_view text, std::string_view what) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.find_first_of("\r\n") != std::string_view::npos) {
    return fail(Code::malformed, std::string(what) + " must be one line; give a file that `instar keygen` wrote");
  }
  return text;
}

}  // namespace

KeyId PublicKey::id() const noexcept {
  return digest(bytes).prefix64();
}

Result<PublicKey> PublicKey::from_bytes(ByteView bytes) {
  ensure_sodium();
  PublicKey key;
  if (bytes.size() != key.bytes.size()) {
    return fail(Code::malformed, "a public key has 32 bytes, this has " + std::to_string(bytes.size()));
  }
  std::ranges::copy(bytes, key.bytes.begin());
  // A key of small order would verify signatures that nobody made.
  if (crypto_core_ed25519_is_valid_point(key.bytes.data()) != 1) {
    return fail(Code::malformed, "the public key " + to_hex(bytes) + " is not a valid Ed25519 key");
  }
  return key;
}

Result<SecretKey> SecretKey::from_seed(ByteView seed) {
  ensure_sodium();
  if (seed.size() != crypto_sign_SEEDBYTES) {
    return fail(Code::invalid_argument, "the seed of a key has 32 bytes, this has " + std::to_string(seed.size()));
  }
  SecretKey key;
  PublicKey ignored;
  INSTAR_ASSERT(crypto_sign_seed_keypair(ignored.bytes.data(), key.bytes_.data(), seed.data()) == 0);
  return key;
}

SecretKey::~SecretKey() {
  sodium_memzero(bytes_.data(), bytes_.size());
}

PublicKey SecretKey::public_key() const noexcept {
  // libsodium's secret key is the seed followed by the public key.
  PublicKey key;
  std::copy_n(bytes_.begin() + crypto_sign_SEEDBYTES, key.bytes.size(), key.bytes.begin());
  return key;
}

ByteView SecretKey::seed() const noexcept {
  return ByteView(bytes_).first(crypto_sign_SEEDBYTES);
}

Signature SecretKey::sign(ByteView message) const noexcept {
  ensure_sodium();
  Signature signature{};
  INSTAR_ASSERT(crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), bytes_.data()) == 0);
  return signature;
}

bool verify(const PublicKey& key, ByteView message, const Signature& signature) noexcept {
  ensure_sodium();
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(), key.bytes.data()) == 0;
}

std::string format_secret_key(const SecretKey& key) {
  return std::string(kSecretTag) + to_hex(key.seed()) + "\n";
}

Result<SecretKey> parse_secret_key(std::string_view text) {
  INSTAR_TRY(const auto line, only_line(text, "a secret key file"));
  if (line.starts_with(kPublicTag)) {
    return fail(Code::malformed, "this is a public key where a secret key is needed; give the other file of the pair");
  }
  Bytes seed;
  // The message never quotes the line: it may be a damaged secret.
  if (!line.starts_with(kSecretTag) || line.size() != kSecretTag.size() + kHexDigits ||
      !from_hex(line.substr(kSecretTag.size()), seed)) {
    return fail(Code::malformed,
                "not a secret key: expected 'instar-secret-key-v1 ' and 64 hex digits, as `instar keygen` writes them");
  }
  auto key = SecretKey::from_seed(seed);
  sodium_memzero(seed.data(), seed.size());
  return key;
}

std::string format_public_key(const PublicKey& key, std::string_view label) {
  std::string line = std::string(kPublicTag) + to_hex(key.bytes);
  if (!label.empty()) {
    line += ' ';
    // A label is for people. It must not break its line.
    for (const char c : label.substr(0, limits::kNameBytesMax))
      line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  return line + "\n";
}

Result<PublicKey> parse_public_key(std::string_view text) {
  INSTAR_TRY(const auto line, only_line(text, "a public key file"));
  if (line.starts_with(kSecretTag)) {
    return fail(Code::malformed, "this is a secret key where a public key is needed; give the .pub file of the pair");
  }
  Bytes bytes;
  const auto rest = line.starts_with(kPublicTag) ? line.substr(kPublicTag.size()) : std::string_view{};
  const bool ends_well = rest.size() == kHexDigits || (rest.size() > kHexDigits && rest[kHexDigits] == ' ');
  if (!ends_well || !from_hex(rest.substr(0, kHexDigits), bytes)) {
    return fail(Code::malformed,
                "not a public key: expected 'instar-public-key-v1 ', 64 hex digits and a label, as `instar keygen` "
                "writes them");
  }
  return PublicKey::from_bytes(bytes);
}

}  // namespace instar::trust
