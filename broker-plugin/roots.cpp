#include "broker-plugin/roots.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

// One that was verified when it was taken.
Result<trust::RootDocument> document_in(ByteView envelope) {
  INSTAR_TRY(const auto parsed, trust::parse_envelope(envelope));
  return trust::decode_root(parsed.payload);
}

constexpr std::int64_t kBehindSaidMs = 3'600'000;

}  // namespace

Result<storage::Batch> Roots::load(storage::Store& store, ByteView pinned_envelope) {
  trust_.reset();
  chain_.clear();
  keys_since_ = 0;
  std::optional<trust::TrustStore> pinned;
  if (!pinned_envelope.empty()) {
    auto opened = trust::TrustStore::from_pinned(pinned_envelope);
    if (!opened.has_value())
      return fail(with_context(std::move(opened.error()),
                               "plugin_opt_root: the file there is no root document (the fleet's first one, "
                               "root.instar of `instar keygen`)"));
    pinned = std::move(*opened);
  }
  bool other_chain = false;
  INSTAR_CHECK(store.scan(storage::Column::meta, storage::kRootPrefix, [&](ByteView key, ByteView value) {
    const auto version = storage::parse_root_key(key);
    if (!version.has_value()) return true;
    chain_[*version] = to_bytes(value);
    if (pinned.has_value() && *version == pinned->root().version && as_text(value) != as_text(pinned->envelope()))
      other_chain = true;
    return true;
  }));
  if (other_chain) {
    return fail(Code::refused,
                "the pinned root document is not the one that this store was made with: correct the option, or start "
                "with an empty store");
  }
  if (pinned.has_value() && (chain_.empty() || pinned->root().version > chain_.rbegin()->first)) {
    const auto version = pinned->root().version;
    trust_ = std::move(pinned);
    chain_[version] = to_bytes(pinned_envelope);
    look_at_keys();
    return storage::Batch{{storage::Column::meta, storage::root_key(version), to_bytes(pinned_envelope)}};
  }
  if (chain_.empty()) return storage::Batch{};
  auto stored = trust::TrustStore::from_pinned(chain_.rbegin()->second);
  if (!stored.has_value()) return fail(with_context(std::move(stored.error()), "the root document in the store"));
  trust_ = std::move(*stored);
  look_at_keys();
  return storage::Batch{};
}

void Roots::look_at_keys() {
  keys_since_ = 0;
  std::optional<trust::ReleaseKeys> before;
  for (const auto& [version, envelope] : chain_) {
    const auto document = document_in(envelope);
    if (!document.has_value()) continue;
    auto keys = document->release_keys();
    if (before.has_value() && trust::replaces(keys, *before)) keys_since_ = version;
    before = std::move(keys);
  }
}

Result<Roots::Taken> Roots::take(ByteView envelope) {
  if (!trust_.has_value()) {
    return fail(Code::untrusted_key,
                "no root document is pinned here to check it against: set the option that names one");
  }
  const auto before = trust_->root().version;
  if (auto status = trust_->advance(envelope); !status.has_value()) {
    auto filled = fill_in(envelope);
    return filled.has_value() ? std::move(*filled) : fail(std::move(status.error()));
  }
  Taken taken{.version = trust_->root().version,
              .is_new = trust_->root().version != before,
              .is_newest = true,
              .batch = {},
              .envelope = trust_->envelope()};
  if (!taken.is_new) return taken;
  taken.batch.push_back({storage::Column::meta, storage::root_key(taken.version), taken.envelope});
  chain_[taken.version] = taken.envelope;
  look_at_keys();
  return taken;
}

// It is believed for its hash, which a document that is believed names. Devices need its signatures too.
std::optional<Result<Roots::Taken>> Roots::fill_in(ByteView envelope) {
  const auto parsed = trust::parse_envelope(envelope);
  if (!parsed.has_value()) return std::nullopt;
  const auto next = std::ranges::find_if(chain_, [&](const auto& known) {
    const auto document = document_in(known.second);
    return document.has_value() && document->previous == parsed->payload_hash;
  });
  if (next == chain_.end()) return std::nullopt;
  Taken taken{.version = next->first - 1, .is_new = false, .is_newest = false, .batch = {}, .envelope = {}};
  const auto known = chain_.find(taken.version);
  if (known != chain_.end()) {
    taken.envelope = known->second;
    return taken;
  }
  if (chain_.size() >= limits::kRootChainMax) {
    return fail(Code::too_large,
                "the broker keeps at most " + std::to_string(limits::kRootChainMax) + " versions of the root document");
  }
  auto own = trust::TrustStore::from_pinned(envelope);
  if (!own.has_value()) return fail(std::move(own.error()));
  const auto before = chain_.find(taken.version - 1);
  if (before != chain_.end()) {
    auto from = trust::TrustStore::from_pinned(before->second);
    if (auto status = from.has_value() ? from->advance(envelope) : fail(from.error()); !status.has_value())
      return fail(std::move(status.error()));
  }
  taken.is_new = true;
  taken.envelope = to_bytes(envelope);
  taken.batch.push_back({storage::Column::meta, storage::root_key(taken.version), taken.envelope});
  chain_[taken.version] = taken.envelope;
  look_at_keys();
  return taken;
}

std::optional<std::string> Roots::note_held(const DeviceId& device, std::uint32_t version, MonotonicMs now) {
  if (!trust_.has_value() || version <= trust_->root().version) return std::nullopt;
  if (behind_said_.has_value() && now - *behind_said_ < kBehindSaidMs) return std::nullopt;
  behind_said_ = now;
  const auto held = std::to_string(trust_->root().version);
  const auto next = std::to_string(trust_->root().version + 1);
  return "device " + device.str() + " holds root document " + std::to_string(version) + ", and this broker " + held +
         ": it was restored from older data, or is not the broker of that device; give it the later ones in their "
         "order, from " +
         next + " on (instar root publish root-" + next + ".instar)";
}

void Roots::assert_invariants() const {
  INSTAR_ASSERT(!trust_.has_value() || (!chain_.empty() && chain_.rbegin()->first == trust_->root().version));
}

rollout::KeysInForce Roots::keys() const {
  if (!trust_.has_value()) return {};
  return {trust_->root().release_keys(), keys_since_};
}

}  // namespace instar::broker
