// The root document that is in force, and the chain of those before it in the store.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/result.hpp"
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
    bool is_new = false;   // false: it was in force already
    storage::Batch batch;  // to be written before anybody sees the document
    Bytes envelope;
  };
  // A document that somebody published. Errors: untrusted_key (none is pinned), and those of TrustStore::advance().
  [[nodiscard]] Result<Taken> take(ByteView envelope);

  // The release keys of that document, and since which version they are the ones.
  [[nodiscard]] rollout::KeysInForce keys() const;

  // nullptr: none is known, and nothing that is signed can be believed.
  [[nodiscard]] const trust::TrustStore* trust() const noexcept { return trust_.has_value() ? &*trust_ : nullptr; }

 private:
  std::optional<trust::TrustStore> trust_;
  std::uint32_t keys_since_ = 0;
};

}  // namespace instar::broker
