// The frame, the root document and the key files: what is read before, or without, a signature that holds.
#include <cstdint>

#include "core/base/assert.hpp"
#include "core/trust/root.hpp"

namespace {

using namespace instar;
using namespace instar::trust;

SecretKey key_of(std::uint8_t fill) {
  return SecretKey::from_seed(Bytes(32, fill)).value();
}

// What nobody signed must not open.
void envelope(ByteView input) {
  const auto parsed = parse_envelope(input);
  if (!parsed.has_value()) {
    INSTAR_ASSERT(!parsed.error().message.empty());
    return;
  }
  INSTAR_ASSERT(!parsed->signatures.empty());
  INSTAR_ASSERT(parsed->payload.data() + parsed->payload.size() == input.data() + input.size());
  static const PublicKey kUnused = key_of(0xee).public_key();
  INSTAR_ASSERT(!open_by_key(input, parsed->kind, kUnused).has_value());
  (void)TrustStore::from_pinned(input);
}

void root_document(ByteView input) {
  const auto first = decode_root(input);
  if (!first.has_value()) return;
  const Bytes written = encode_root(*first);
  const auto second = decode_root(written);
  INSTAR_ASSERT(second.has_value());
  INSTAR_ASSERT(encode_root(*second) == written);
  // A store that pins it refuses it by a stranger's key and by bytes of the input.
  INSTAR_ASSERT(!TrustStore::from_pinned(seal(Kind::root, input, key_of(0xee))).has_value());
}

void key_files(std::string_view text) {
  if (const auto secret = parse_secret_key(text); secret.has_value()) {
    INSTAR_ASSERT(parse_secret_key(format_secret_key(*secret))->public_key() == secret->public_key());
  }
  if (const auto key = parse_public_key(text); key.has_value()) {
    INSTAR_ASSERT(parse_public_key(format_public_key(*key, text)).value() == *key);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0: envelope(input); break;
    case 1: root_document(input); break;
    default: key_files(as_text(input)); break;
  }
  return 0;
}
