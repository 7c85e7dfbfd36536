#include "broker-plugin/roots.hpp"

#include <utility>

#include "core/trust/envelope.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

// Of a document that was verified when it was taken.
std::optional<trust::ReleaseKeys> release_keys_in(ByteView envelope) {
  const auto parsed = trust::parse_envelope(envelope);
  if (!parsed.has_value()) return std::nullopt;
  const auto document = trust::decode_root(parsed->payload);
  if (!document.has_value()) return std::nullopt;
  return document->release_keys();
}

}  // namespace

Result<storage::Batch> Roots::load(storage::Store& store, ByteView pinned_envelope) {
  trust_.reset();
  keys_since_ = 0;
  std::optional<trust::ReleaseKeys> keys;
  const auto follow = [&](std::uint32_t version, ByteView envelope) {
    auto next = release_keys_in(envelope);
    if (keys.has_value() && next.has_value() && trust::replaces(*next, *keys)) keys_since_ = version;
    if (next.has_value()) keys = std::move(next);
  };
  std::optional<trust::TrustStore> pinned;
  if (!pinned_envelope.empty()) {
    auto opened = trust::TrustStore::from_pinned(pinned_envelope);
    if (!opened.has_value()) return fail(with_context(std::move(opened.error()), "the pinned root document"));
    pinned = std::move(*opened);
  }
  Bytes newest;
  std::uint32_t newest_version = 0;
  bool other_chain = false;
  INSTAR_CHECK(store.scan(storage::Column::meta, storage::kRootPrefix, [&](ByteView key, ByteView value) {
    const auto version = storage::parse_root_key(key);
    if (!version.has_value()) return true;
    newest = to_bytes(value);
    newest_version = *version;
    follow(*version, value);
    if (pinned.has_value() && *version == pinned->root().version && as_text(value) != as_text(pinned->envelope()))
      other_chain = true;
    return true;
  }));
  if (other_chain) {
    return fail(Code::refused,
                "the pinned root document is not the one that this store was made with: correct the option, or start "
                "with an empty store");
  }
  if (pinned.has_value() && pinned->root().version > newest_version) {
    const auto version = pinned->root().version;
    follow(version, pinned_envelope);
    trust_ = std::move(pinned);
    return storage::Batch{{storage::Column::meta, storage::root_key(version), to_bytes(pinned_envelope)}};
  }
  if (newest_version == 0) return storage::Batch{};
  auto stored = trust::TrustStore::from_pinned(newest);
  if (!stored.has_value()) return fail(with_context(std::move(stored.error()), "the root document in the store"));
  trust_ = std::move(*stored);
  return storage::Batch{};
}

Result<Roots::Taken> Roots::take(ByteView envelope) {
  if (!trust_.has_value()) {
    return fail(Code::untrusted_key,
                "no root document is pinned here to check it against: set the option that names one");
  }
  const auto before = trust_->root().version;
  const auto keys_before = trust_->root().release_keys();
  INSTAR_CHECK(trust_->advance(envelope));
  Taken taken;
  taken.version = trust_->root().version;
  taken.is_new = taken.version != before;
  taken.envelope = trust_->envelope();
  if (taken.is_new && trust::replaces(trust_->root().release_keys(), keys_before)) keys_since_ = taken.version;
  if (taken.is_new)
    taken.batch.push_back({storage::Column::meta, storage::root_key(taken.version), trust_->envelope()});
  return taken;
}

rollout::KeysInForce Roots::keys() const {
  if (!trust_.has_value()) return {};
  return {trust_->root().release_keys(), keys_since_};
}

}  // namespace instar::broker
