// The signed envelope: a fixed frame around opaque bytes (docs/formats/envelope.md).
//
//   offset  size  field
//   0       4     magic "INSE"
//   4       1     version, 1
//   5       1     kind (Kind)
//   6       1     signature count n, 1 … 16
//   7       1     zero
//   8       4     payload size, little-endian
//   12      72n   signatures: key id (8, little-endian), Ed25519 signature (64); key ids strictly ascending
//   12+72n  …     payload, to the end exactly
//
// What is signed: "instar-envelope-v1\0" ‖ kind ‖ BLAKE2b-256(payload). The kind is part of it, so that bytes signed
// as one kind of statement never pass as another.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/trust/keys.hpp"

namespace instar::trust {

// Frozen numbers.
enum class Kind : std::uint8_t {
  root = 1,
  manifest = 2,
  gate = 3,
  hello = 4,
  report = 5,
  assignment = 6,
  approval = 7,
  enrolment = 8,
};

struct KeySignature {
  KeyId key_id = 0;
  Signature signature{};
};

// A parsed, NOT verified envelope. `payload` points into the bytes that were parsed.
struct Envelope {
  Kind kind = Kind::root;
  std::vector<KeySignature> signatures;
  ByteView payload;
  Hash256 payload_hash;
};

// Checks the frame only (sizes, magic, reserved bits, order of key ids). Errors: malformed, too_large, unsupported (a
// version or kind of a later program).
[[nodiscard]] Result<Envelope> parse_envelope(ByteView bytes);

// Who signed it, as it says itself.
[[nodiscard]] std::vector<KeyId> signers_of(const Envelope& envelope);

// Signs `payload` with every key and orders the signatures by key id. At least one key, all different.
[[nodiscard]] Bytes seal(Kind kind, ByteView payload, std::span<const SecretKey> keys);
[[nodiscard]] Bytes seal(Kind kind, ByteView payload, const SecretKey& key);

// A public key whose signature counts, for verify_threshold().
struct AuthorizedKey {
  KeyId key_id = 0;
  PublicKey key;
};

// ok when the envelope is of `kind`, EVERY signature in it is by one of `keys` and verifies, and there are at least
// `threshold` of them. (Strict on purpose: with one bit flipped anywhere, nothing verifies.)
// Errors: malformed (other kind), untrusted_key, bad_signature.
[[nodiscard]] Status verify_threshold(const Envelope& envelope, Kind kind, std::span<const AuthorizedKey> keys,
                                      std::uint32_t threshold);

// parse_envelope() and verification by one key that is known in advance, for hellos and reports of a device.
[[nodiscard]] Result<Envelope> open_by_key(ByteView bytes, Kind kind, const PublicKey& key);

}  // namespace instar::trust
