#include "core/trust/envelope.hpp"

#include <algorithm>
#include <string>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/little_endian.hpp"
#include "core/trust/signatures.hpp"

namespace instar::trust {
namespace {

constexpr std::string_view kMagic = "INSE";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kSignatureBytes = 8 + 64;
constexpr std::string_view kContext{"instar-envelope-v1\0", 19};
constexpr auto kLastKind = static_cast<std::uint8_t>(Kind::enrolment);

Bytes signed_message(Kind kind, const Hash256& payload_hash) {
  Bytes message = to_bytes(kContext);
  message.push_back(static_cast<std::uint8_t>(kind));
  message.insert(message.end(), payload_hash.bytes.begin(), payload_hash.bytes.end());
  return message;
}

tl::unexpected<Error> bad_envelope(std::string what) {
  return fail(Code::malformed, "signed envelope: " + std::move(what));
}

Status check_header(ByteView bytes) {
  if (bytes.size() > limits::kMessageBytesMax) {
    return fail(Code::too_large, "signed envelope: " + std::to_string(bytes.size()) + " bytes, the most is " +
                                     std::to_string(limits::kMessageBytesMax));
  }
  if (bytes.size() < kHeaderBytes)
    return bad_envelope("only " + std::to_string(bytes.size()) + " bytes, the header alone has 12");
  if (as_text(bytes.first(4)) != kMagic) return bad_envelope("does not start with INSE");
  if (bytes[4] == 0) return bad_envelope("version 0");
  if (bytes[4] > kVersion) {
    return fail(Code::unsupported, "signed envelope: version " + std::to_string(bytes[4]) +
                                       " was made by a newer version; update this program to read it");
  }
  if (bytes[5] == 0) return bad_envelope("kind 0");
  if (bytes[5] > kLastKind) {
    return fail(Code::unsupported, "signed envelope: kind " + std::to_string(bytes[5]) +
                                       " was made by a newer version; update this program to read it");
  }
  if (bytes[6] == 0) return bad_envelope("carries no signature");
  if (bytes[6] > limits::kSignaturesMax) {
    return fail(Code::too_large, "signed envelope: " + std::to_string(bytes[6]) + " signatures, the most is " +
                                     std::to_string(limits::kSignaturesMax));
  }
  if (bytes[7] != 0) return bad_envelope("reserved byte is not zero");
  return {};
}

}  // namespace

std::string key_text(KeyId id) {
  Bytes bytes;
  append_le64(bytes, id);
  return to_hex(bytes);
}

std::string_view kind_name(Kind kind) noexcept {
  switch (kind) {
    case Kind::root: return "root document";
    case Kind::manifest: return "manifest";
    case Kind::gate: return "gate";
    case Kind::hello: return "hello";
    case Kind::report: return "report";
    case Kind::assignment: return "assignment";
    case Kind::approval: return "approval";
    case Kind::enrolment: return "enrolment";
  }
  return "unknown";
}

Result<Envelope> parse_envelope(ByteView bytes) {
  INSTAR_CHECK(check_header(bytes));
  const std::size_t count = bytes[6];
  const std::size_t payload_at = kHeaderBytes + count * kSignatureBytes;
  if (bytes.size() < payload_at) return bad_envelope("cut off inside its signatures");
  const std::uint64_t payload_bytes = load_le32(bytes.subspan(8));
  if (bytes.size() - payload_at != payload_bytes) {
    return bad_envelope("says " + std::to_string(payload_bytes) + " payload bytes, has " +
                        std::to_string(bytes.size() - payload_at));
  }
  Envelope envelope;
  envelope.kind = static_cast<Kind>(bytes[5]);
  envelope.signatures.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto field = bytes.subspan(kHeaderBytes + i * kSignatureBytes, kSignatureBytes);
    auto& signature = envelope.signatures[i];
    signature.key_id = load_le64(field);
    std::ranges::copy(field.subspan(8), signature.signature.begin());
    if (i > 0 && signature.key_id <= envelope.signatures[i - 1].key_id) return bad_envelope("key ids do not ascend");
  }
  envelope.payload = bytes.subspan(payload_at);
  envelope.payload_hash = digest(envelope.payload);
  return envelope;
}

std::vector<KeyId> signers_of(const Envelope& envelope) {
  std::vector<KeyId> out;
  for (const auto& signature : envelope.signatures) out.push_back(signature.key_id);
  return out;
}

Bytes seal(Kind kind, ByteView payload, std::span<const SecretKey> keys) {
  INSTAR_ASSERT(!keys.empty() && keys.size() <= limits::kSignaturesMax);
  INSTAR_ASSERT(payload.size() <= UINT32_MAX);
  const Bytes message = signed_message(kind, digest(payload));
  std::vector<KeySignature> signatures;
  for (const auto& key : keys) signatures.push_back({key.public_key().id(), key.sign(message)});
  std::ranges::sort(signatures, {}, &KeySignature::key_id);
  INSTAR_ASSERT(std::ranges::adjacent_find(signatures, {}, &KeySignature::key_id) == signatures.end());

  Bytes out = to_bytes(kMagic);
  out.reserve(kHeaderBytes + signatures.size() * kSignatureBytes + payload.size());
  out.push_back(kVersion);
  out.push_back(static_cast<std::uint8_t>(kind));
  out.push_back(static_cast<std::uint8_t>(signatures.size()));
  out.push_back(0);
  append_le32(out, static_cast<std::uint32_t>(payload.size()));
  for (const auto& signature : signatures) {
    append_le64(out, signature.key_id);
    out.insert(out.end(), signature.signature.begin(), signature.signature.end());
  }
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

Bytes seal(Kind kind, ByteView payload, const SecretKey& key) {
  return seal(kind, payload, std::span(&key, 1));
}

Result<std::uint32_t> count_signatures(const Envelope& envelope, Kind kind, std::span<const AuthorizedKey> keys,
                                       Strangers strangers) {
  if (envelope.kind != kind) {
    return bad_envelope("holds a " + std::string(kind_name(envelope.kind)) + " where a " +
                        std::string(kind_name(kind)) + " belongs");
  }
  const Bytes message = signed_message(kind, envelope.payload_hash);
  std::uint32_t count = 0;
  for (const auto& signature : envelope.signatures) {
    const auto key = std::ranges::find(keys, signature.key_id, &AuthorizedKey::key_id);
    if (key == keys.end()) {
      if (strangers == Strangers::passed_over) continue;
      return fail(Code::untrusted_key,
                  std::string(kind_name(kind)) + ": signed by key " + key_text(signature.key_id) +
                      ", which may not sign this; sign with a key that the root document names for it");
    }
    if (!verify(key->key, message, signature.signature)) {
      return fail(Code::bad_signature, std::string(kind_name(kind)) + ": the signature by key " +
                                           key_text(signature.key_id) +
                                           " does not verify; the bytes were changed after signing");
    }
    ++count;
  }
  return count;
}

Status require_threshold(Kind kind, std::uint32_t count, std::uint32_t threshold) {
  // A threshold of 0 would accept a statement that nobody signed.
  if (count >= std::max(threshold, 1U)) return {};
  return fail(Code::untrusted_key, std::string(kind_name(kind)) + ": " + std::to_string(count) + " valid signatures, " +
                                       std::to_string(threshold) + " are needed; have more key holders sign it");
}

Status verify_threshold(const Envelope& envelope, Kind kind, std::span<const AuthorizedKey> keys,
                        std::uint32_t threshold) {
  INSTAR_TRY(const auto count, count_signatures(envelope, kind, keys, Strangers::refused));
  return require_threshold(kind, count, threshold);
}

Result<Envelope> open_by_key(ByteView bytes, Kind kind, const PublicKey& key) {
  INSTAR_TRY(auto envelope, parse_envelope(bytes));
  const AuthorizedKey only{key.id(), key};
  INSTAR_CHECK(verify_threshold(envelope, kind, std::span(&only, 1), 1));
  return envelope;
}

}  // namespace instar::trust
