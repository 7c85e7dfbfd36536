// The rollouts' side of the broker's machine: counts and policies go in; waves, gates, turns, leases and ends come out.
// What devices are, and who is a member of what, it asks the other side (exchange/fleet.hpp).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/rollout/exchange/fleet.hpp"
#include "core/rollout/rollouts/catalog.hpp"
#include "core/rollout/rollouts/rollout.hpp"
#include "core/rollout/rollouts/sequences.hpp"

namespace instar::rollout {

class Rollouts {
 public:
  // --- loading: all rollouts, then the counts of their members, then loaded() once ---
  void load(const ManifestId& rollout, RolloutRecord record, std::shared_ptr<const Release> release);
  void loaded(Now now);

  // --- counts ---
  // Takes them; what follows comes with advance().
  void take_counts(const CountChanges& changes, Effects& effects);
  // The rollout's counts may have changed by an event: budgets, waves, the end, turns. An unknown one is passed over.
  void advance(const ManifestId& rollout, Fleet& fleet, Now now, Effects& effects);
  // A device waits for its turn in a rollout that is known.
  void give_turns(const ManifestId& rollout, Fleet& fleet, Now now, Effects& effects);
  // Time has passed. O(rollouts that are some audience's current one).
  void tick(Fleet& fleet, Now now, Effects& effects);

  // --- operators; `who`: as history names them ---
  enum class Taken : std::uint8_t { created, known };
  // `rollout`: hash of the manifest's payload. The manifest has been verified; `signers` are its keys. Errors: stale,
  // refused (its sequence), invalid_argument (its waves), too_large (kRolloutsMax).
  [[nodiscard]] Result<Taken> take_manifest(const ManifestId& rollout, const wire::Manifest& manifest,
                                            const std::vector<trust::KeyId>& signers, const std::string& who,
                                            Fleet& fleet, Now now, Effects& effects);
  // The release keys of the root document in force, before anything is loaded and with each new document. Rollouts
  // whose keys are not among them, or do not reach their groups any more, are no device's target, and set no bar to
  // sequences.
  void take_keys(KeysInForce keys, Fleet& fleet, Effects& effects);
  // After loading, and after each take_keys(): what those rollouts have retained is taken away, or gives way to what
  // stood there before, and they end.
  void withdraw_unsigned(Fleet& fleet, Now now, Effects& effects);
  // Errors: not_found, and those of Rollout.
  [[nodiscard]] Status act(const ManifestId& rollout, Action action, const std::string& who, Fleet& fleet, Now now,
                           Effects& effects);
  [[nodiscard]] Status approve(const ManifestId& rollout, const Yes& yes, const std::string& who, Fleet& fleet, Now now,
                               Effects& effects);
  [[nodiscard]] Status retry(const ManifestId& rollout, const std::string& who, Fleet& fleet, Now now,
                             Effects& effects);
  // While `why` is not empty no wave opens, and no gate is signed but such as stop devices; what was due follows with
  // tick().
  void hold(std::string why, Effects& effects);
  [[nodiscard]] bool is_held() const noexcept { return !held_.empty(); }
  // The gates of each audience's rollout are to be signed again: with the next tick().
  void renew_gates();
  // The wall clock has gone back. O(rollouts).
  void mend_times(Fleet& fleet, Now now, Effects& effects);
  // New gates of each audience's rollout, fresh as of now.
  void refresh_gates(Fleet& fleet, Now now, Effects& effects);

  // --- bytes ---
  // Counts bytes for a rollout that is known, if they may go. `sent`: to the device so far.
  [[nodiscard]] Charge charge(const ManifestId& rollout, std::uint64_t sent, std::uint64_t bytes);
  void lease_saved(const ManifestId& rollout, std::uint64_t bytes);
  // A lease should be extended before the next second. O(1).
  [[nodiscard]] bool is_urgent() const noexcept { return !leases_due_.empty(); }

  // The sequence for a new release of the product to these groups.
  [[nodiscard]] Sequences::Next next_sequence(std::string_view product, const std::vector<GroupPath>& groups,
                                              const Fleet& fleet) const;

  // --- views; references hold until the next call that changes something ---
  // nullptr: there is no such rollout.
  [[nodiscard]] const Rollout* find(const ManifestId& rollout) const noexcept;
  [[nodiscard]] const std::map<ManifestId, Rollout>& all() const noexcept { return rollouts_; }
  [[nodiscard]] const Catalog& catalog() const noexcept { return catalog_; }
  // The gates that a device has to receive of rollouts that have ended and left its topics: of the one that it is at
  // (`at`), and of the one that it runs if that is to be taken back.
  [[nodiscard]] std::vector<wire::Gate> endings_for(const wire::Description& device,
                                                    const std::optional<ManifestId>& at, Now now) const;
  // What the rollout waits for; empty when it waits for nothing.
  [[nodiscard]] std::string waiting_for(const ManifestId& rollout, Now now) const;
  void assert_invariants() const;

 private:
  [[nodiscard]] Context context_of(Fleet& fleet, Now now, Effects& effects) const;
  [[nodiscard]] Result<Rollout*> find_for_operator(const ManifestId& rollout);
  [[nodiscard]] bool is_current_everywhere(const ManifestId& rollout, const wire::Manifest& manifest) const;
  // What an event has brought along: counts of other rollouts, and what comes back after one that has ended.
  void settle(Context& context);
  void bring_back(const ManifestId& ended, Context& context);
  // Chooses current rollouts; those that are so again are offered. They are returned.
  std::set<ManifestId> choose_current(Context& context);
  [[nodiscard]] OfferState offer_state(const ManifestId& rollout, WallMs now) const;
  void begin(const ManifestId& rollout, const wire::Manifest& manifest, const std::vector<trust::KeyId>& signers,
             const std::string& who, Context& context);
  [[nodiscard]] bool is_in_force(const Rollout& rollout) const;
  // Those that have just been taken over.
  std::vector<ManifestId> find_superseded(std::string_view product, Effects& effects);
  // Drops the oldest rollout that is no group's current one, if there are too many.
  void make_room(Fleet& fleet, Effects& effects);
  // Of old rollouts the sums are kept, not each member: memory and disk must not grow with every release.
  void archive_old(std::string_view product, Fleet& fleet, Effects& effects);
  void extend_leases(Effects& effects);

  std::map<ManifestId, Rollout> rollouts_;
  Catalog catalog_;
  Sequences sequences_;
  std::optional<KeysInForce> keys_;  // nullopt: no root document is known, and all count
  std::set<ManifestId> leases_due_;
  std::string held_;  // why no gate is signed; empty: gates are
};

}  // namespace instar::rollout
