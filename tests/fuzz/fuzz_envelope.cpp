// The frame, the root document and the key files: what is read before, or without, a signature that holds; and what
// the keys of a store may sign. The first byte picks one.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/base/assert.hpp"
#include "core/trust/root.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_envelope {
namespace {

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

// The subset of `keys` whose bits are set.
std::vector<SecretKey> some_of(const std::vector<SecretKey>& keys, unsigned bits) {
  std::vector<SecretKey> some;
  for (std::size_t i = 0; i < keys.size(); ++i)
    if ((bits >> i & 1U) != 0) some.push_back(keys[i]);
  return some;
}

// A document whose roles, thresholds and filters are bits of the input.
RootDocument document_of(ByteView bits, const std::vector<SecretKey>& keys) {
  RootDocument document;
  document.issued = {1'760'000'000'000};
  for (std::size_t i = 0; i < keys.size(); ++i)
    document.keys.push_back({keys[i].public_key(), i == 3 ? "plant-7/#" : i == 2 ? "plant-7" : "", "key"});
  for (std::size_t i = 0; i < 3; ++i) {
    Role role{static_cast<RoleName>(i), bits[i] >> 4 & 3U, {}};
    for (const auto& key : some_of(keys, bits[i])) role.key_ids.push_back(key.public_key().id());
    document.roles.push_back(std::move(role));
  }
  return document;
}

std::size_t signers_in(const RootDocument& root, RoleName name, const std::vector<SecretKey>& signers) {
  const auto& ids = root.role(name)->key_ids;
  return static_cast<std::size_t>(std::ranges::count_if(
      signers, [&](const SecretKey& key) { return std::ranges::find(ids, key.public_key().id()) != ids.end(); }));
}

// Eight bytes: two documents of the same four keys, and who signs what. What a store takes has its thresholds met.
void store(ByteView bits) {
  static const std::vector<SecretKey> kKeys{key_of(1), key_of(2), key_of(3), key_of(4)};
  if (bits.size() < 8) return;
  const auto first = document_of(bits, kKeys);
  const auto all = some_of(kKeys, bits[6] & 15U);
  if (all.empty()) return;
  auto store = TrustStore::from_pinned(seal(Kind::root, encode_root(first), all));
  if (!store.has_value()) return;
  INSTAR_ASSERT(signers_in(first, RoleName::root, all) >= first.role(RoleName::root)->threshold);
  auto second = document_of(bits.subspan(3), kKeys);
  second.version = 2;
  second.previous = parse_envelope(store->envelope())->payload_hash;
  const auto signers = some_of(kKeys, bits[6] >> 4U);
  if (!signers.empty() && store->advance(seal(Kind::root, encode_root(second), signers))) {
    INSTAR_ASSERT(store->root().version == 2);
    INSTAR_ASSERT(signers_in(first, RoleName::root, signers) >= first.role(RoleName::root)->threshold);
    INSTAR_ASSERT(signers_in(second, RoleName::root, signers) >= second.role(RoleName::root)->threshold);
  }
  const auto releasers = some_of(kKeys, bits[7] & 15U);
  if (releasers.empty()) return;
  const auto& root = store->root();
  const auto met = [&](RoleName name) { return signers_in(root, name, releasers) >= root.role(name)->threshold; };
  if (store->open_gate(seal(Kind::gate, bits, releasers))) INSTAR_ASSERT(met(RoleName::gate));
  const auto manifest = seal(Kind::manifest, bits, releasers);
  for (const auto* group : {"plant-7", "plant-7/line-a", "plant-9"}) {
    const auto path = GroupPath::parse(group);
    const auto opened = store->open_manifest(manifest, *path);
    if (!opened) continue;
    INSTAR_ASSERT(met(RoleName::release) && store->reaches(*opened, *path));
  }
}

void key_files(std::string_view text) {
  if (const auto secret = parse_secret_key(text); secret.has_value()) {
    INSTAR_ASSERT(parse_secret_key(format_secret_key(*secret))->public_key() == secret->public_key());
  }
  if (const auto key = parse_public_key(text); key.has_value()) {
    INSTAR_ASSERT(parse_public_key(format_public_key(*key, text)).value() == *key);
  }
}

void run(ByteView data) {
  const ByteView input = data.subspan(1);
  switch (data[0] % 4) {
    case 0: envelope(input); break;
    case 1: root_document(input); break;
    case 2: key_files(as_text(input)); break;
    default: store(input); break;
  }
}

}  // namespace
}  // namespace instar::fuzz_envelope

INSTAR_FUZZ_TARGET(envelope, instar::fuzz_envelope::run)
