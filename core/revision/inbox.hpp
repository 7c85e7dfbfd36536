// What the device has received and believes: root documents, the assignment of its groups, and the manifests that are
// on offer. It knows which signatures count. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/revision/device_facts.hpp"
#include "core/revision/history.hpp"
#include "core/revision/outbox.hpp"
#include "core/revision/revisions.hpp"
#include "core/revision/root_chain.hpp"
#include "core/revision/trusted_time.hpp"
#include "core/trust/root.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/topics.hpp"

namespace instar::revision {

// A manifest whose signatures have been checked.
struct ReceivedManifest {
  Hash256 message;  // digest of the whole envelope
  ManifestId hash;  // of the payload: the rollout
  Bytes envelope;
  wire::Manifest manifest;
};

class Inbox {
 public:
  // `assignment`: the envelope that is obeyed, empty: none. `facts` outlives the inbox.
  Inbox(const DeviceFacts& facts, trust::TrustStore trust, Bytes assignment);

  // --- groups
  [[nodiscard]] const std::vector<GroupPath>& groups() const noexcept { return groups_; }
  // Messages for `group` are for this device.
  [[nodiscard]] bool is_ours(const GroupPath& group) const noexcept;
  // Manifests and gates on that topic are: it is of one of those groups, and of this product.
  [[nodiscard]] bool is_ours(const wire::Topic& topic) const noexcept;
  // Errors: why the assignment is not taken. False: it is the one that is obeyed already. True: groups() has changed,
  // and what came on topics that are no longer ours is forgotten. `wall`: the device's own clock. One that is dated
  // ahead of it is kept, for take_early().
  [[nodiscard]] Result<bool> take_assignment(ByteView payload, const wire::Topics& topics, const TrustedTime& time,
                                             WallMs wall);
  // The assignment that was dated too far ahead, once it is not any more: the caller looks at it again.
  [[nodiscard]] std::optional<Bytes> take_early(const TrustedTime& time, WallMs wall);

  // --- root documents
  enum class Root : std::uint8_t {
    known,            // it is the one in force
    taken,            // its release keys are those of before, and perhaps more
    taken_with_keys,  // release keys of before are gone or reach other groups: what they signed is not on offer any
                      // more
  };
  // Errors: why it is not taken (stale: an old one).
  [[nodiscard]] Result<Root> take_root(ByteView payload, const wire::Topics& topics);
  // Of a manifest in the device's own file: it is signed by keys that are in force and reach the groups that it names.
  [[nodiscard]] bool is_in_force(const Bytes& envelope, const wire::Manifest& manifest) const;
  [[nodiscard]] const trust::RootDocument& root() const noexcept { return trust_.root(); }
  [[nodiscard]] const trust::TrustStore& trust() const noexcept { return trust_; }
  // What is missing between that document and the newest on offer. Until it has come, or has been missed, manifests by
  // keys that are not known are kept and not refused.
  [[nodiscard]] RootChain& chain() noexcept { return chain_; }
  [[nodiscard]] const RootChain& chain() const noexcept { return chain_; }
  // Messages whose signers were not known, by topic: the caller looks at them again. They are forgotten here.
  [[nodiscard]] std::map<std::string, Bytes> take_unverified();

  // --- manifests
  struct Change {
    enum class Kind : std::uint8_t { none, withdrawn, taken };
    Kind kind = Kind::none;
    ManifestId before;                                 // what stood on that topic, zero: nothing
    std::shared_ptr<const ReceivedManifest> manifest;  // `taken`
  };
  // What cannot be believed, or obeyed, is refused, which is reported once for each different message.
  [[nodiscard]] Change take_manifest(const std::string& topic, const GroupPath& group, Bytes payload,
                                     const Revisions& revisions, History& history, Outbox& out);
  // On offer now; null: not received since the start, or withdrawn.
  [[nodiscard]] const wire::Manifest* find(const ManifestId& hash) const noexcept;
  [[nodiscard]] const std::map<std::string, std::shared_ptr<const ReceivedManifest>>& manifests() const noexcept {
    return manifests_;
  }

  // --- gates
  // nullopt: it cannot be believed or read, or is not for this device.
  [[nodiscard]] std::optional<wire::Gate> open_gate(const std::string& topic, Bytes payload, Outbox& out);

  // To be persisted.
  [[nodiscard]] const Bytes& root_envelope() const noexcept { return trust_.envelope(); }
  [[nodiscard]] const Bytes& assignment() const noexcept { return assignment_; }
  // A topic has one message; each manifest is for this product.
  void assert_invariants() const;

 private:
  // Errors: why this manifest is not for us.
  [[nodiscard]] Result<ReceivedManifest> open_manifest(ByteView payload, const Hash256& message, const GroupPath& group,
                                                       const Revisions& revisions, const History& history) const;
  // The keys of a manifest that came on `group`'s topic reach all groups that it names, and one of those of this device
  // below that topic. Errors: untrusted_key.
  [[nodiscard]] Status check_reach(const trust::Envelope& envelope, const wire::Manifest& manifest,
                                   const GroupPath& group) const;
  // The keys of an assignment reach the groups that this device leaves, and those that it gets.
  [[nodiscard]] Status check_reach(const trust::Envelope& envelope, const std::vector<GroupPath>& gets) const;
  // The time that the next assignment must be later than; nullopt: any will do.
  [[nodiscard]] std::optional<WallMs> assignments_bar(WallMs latest) const;

  const DeviceFacts& facts_;
  trust::TrustStore trust_;
  RootChain chain_;
  Bytes assignment_;
  std::vector<GroupPath> groups_;
  std::map<std::string, std::shared_ptr<const ReceivedManifest>> manifests_;  // by topic
  std::map<std::string, Bytes> unverified_;  // by topic: tried again with the next root document
  struct Early {
    Bytes envelope;
    WallMs issued;
  };
  std::optional<Early> early_;
};

}  // namespace instar::revision
