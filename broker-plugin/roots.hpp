// The root document that is in force, and the chain of those before it: each version stays to be had, for devices that
// were away.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/rollout/exchange/fleet.hpp"
#include "core/trust/root.hpp"
#include "storage/store.hpp"

namespace instar::broker {

class Roots {
 public:
  // The newest of the chain in the store, or the pinned one (an envelope, may be empty) where that is newer or the
  // store has none. Answers what is to be written. On an error no document is in force.
  [[nodiscard]] Result<storage::Batch> load(storage::Store& store, ByteView pinned);

  struct Taken {
    std::uint32_t version = 0;
    bool is_new = false;     // false: it was known already
    bool is_newest = false;  // in force; otherwise it is one of those before
    storage::Batch batch;    // to be written before anybody sees the document
    Bytes envelope;
  };
  // A document that somebody published: the next one, or one that is missing before one that is known, which names its
  // hash. Errors: untrusted_key (none is pinned), too_large (kRootChainMax), and those of TrustStore::advance().
  [[nodiscard]] Result<Taken> take(ByteView envelope);

  // The release keys of that document, and since which version they are the ones.
  [[nodiscard]] rollout::KeysInForce keys() const;

  // nullptr: none is known, and nothing that is signed can be believed.
  [[nodiscard]] const trust::TrustStore* trust() const noexcept { return trust_.has_value() ? &*trust_ : nullptr; }
  // Envelopes by version; from the second on, a version may be missing.
  [[nodiscard]] const std::map<std::uint32_t, Bytes>& chain() const noexcept { return chain_; }
  // A device holds that version. What to say when it is later than the one in force: this broker was restored from
  // older data. nullopt: it is not, or it was said within the hour.
  [[nodiscard]] std::optional<std::string> note_held(const DeviceId& device, std::uint32_t version, MonotonicMs now);

  void assert_invariants() const;

 private:
  // nullopt: no document that is known names its hash.
  [[nodiscard]] std::optional<Result<Taken>> fill_in(ByteView envelope);
  // The keys that have changed hands since, by the versions that are known.
  void look_at_keys();

  std::optional<trust::TrustStore> trust_;
  std::map<std::uint32_t, Bytes> chain_;
  std::uint32_t keys_since_ = 0;
  std::optional<MonotonicMs> behind_said_;
};

}  // namespace instar::broker
