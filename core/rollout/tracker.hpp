// The broker's machine: which device is where in which rollout, and who may go now. Pure: events go in, effects come
// out. One thread.
//
// It has two sides that do not know each other. The devices' side applies what devices say and yields counts; the
// rollouts' side decides by counts and by the policies of signed manifests. This page says, for each event, which side
// is asked, in which order. Wall time is signed into gates and stored; durations (soak, silence, starts in a minute)
// are measured on the monotonic clock while the process lives, so that a wall clock that jumps opens no wave. When the
// wall clock goes back, so do the times that lie in the future then: nothing lasts of a clock that was ahead.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/rollout/devices/devices.hpp"
#include "core/rollout/exchange/effects.hpp"
#include "core/rollout/exchange/record.hpp"
#include "core/rollout/rollouts/rollouts.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"

namespace instar::rollout {

// A rollout as both sides know it. Holds until the next call that changes something.
struct RolloutView {
  RolloutView(const Rollout& rollout, const Members& of);

  const RolloutRecord& record;
  const std::shared_ptr<const Release>& release;
  const std::vector<WaveCounts>& waves;  // of all waves of the policy; nothing is admitted to those not opened
  WallMs updated;                        // of the record or of any member
  const std::map<DeviceId, Member>& members;
  const Counts& counts;                     // of the members
  bool is_in_force;                         // its keys are, and reach its groups
  std::optional<ManifestId> superseded_by;  // the newer rollout that has taken over in its groups

  // See Rollout::state_name().
  [[nodiscard]] std::string_view state_name() const noexcept { return state_; }
  // See Rollout::outcome().
  [[nodiscard]] std::string_view outcome() const noexcept { return outcome_; }
  // The counts, or what they were when the rollout was archived.
  [[nodiscard]] const Counts& sums() const noexcept { return record.archived.has_value() ? *record.archived : counts; }

 private:
  std::string_view state_;
  std::string_view outcome_;
};

class Tracker {
 public:
  // How many devices that have never taken part one login may bring. Before loading, or at any time.
  void bound_newcomers(std::size_t login_max) noexcept { devices_.bound_newcomers(login_max); }

  // Only devices that are enrolled may say hello. Before loading, or at any time.
  void demand_enrolment(bool listed) noexcept { devices_.roster().enrolments().demand(listed); }

  // --- loading: in this order, then loaded() once ---
  void load_tombstones(const DeviceId& device, std::vector<Tombstone> tombstones);
  void load_enrolment(wire::Enrolment enrolment);
  void load_spent_token(const DeviceId& device, const Hash256& token_hash);
  void load_rollout(const ManifestId& rollout, RolloutRecord record, std::shared_ptr<const Release> release);
  void load_device(const DeviceId& device, DeviceRecord record);
  void load_member(const ManifestId& rollout, const DeviceId& device, MemberRecord record);
  void loaded(Now now);

  // --- events from devices; the signature has been checked with `hello.key`, or with the pinned key ---
  // Errors: untrusted_key (another key is pinned), unavailable (kDevicesMax, or too many of the login that never took
  // part), stale (not later than the last one), refused and expired (not enrolled). `effects` may have some then too.
  [[nodiscard]] Status hello(const wire::Hello& hello, const Origin& origin, Now now, Effects& effects);
  // Applied if it is the next in order; acked in any case. Errors: not_found (no hello yet).
  [[nodiscard]] Status report(const wire::Report& report, Now now, Effects& effects);
  // Some message of it came: it is there.
  void heard(const DeviceId& device, Now now);
  void gone(const DeviceId& device, Now now);
  // It is connected still: for a tracker that was loaded again while devices were.
  void is_there(const DeviceId& device);
  // Before payload bytes of `pack` are handed to the device for the rollout whose hash starts with `rollout` (another
  // number: for its target): counts them, if the rollout brings the pack, the device may take the rollout, and no
  // budget is spent. Counted bytes become durable with the next report or hello of the device, or with save_bytes();
  // the lease that bounds a rollout's budget is saved ahead of them.
  [[nodiscard]] Charge charge(const DeviceId& device, std::uint64_t rollout, const PackId& pack, std::uint64_t bytes);
  // Of at most so many devices: those that have waited longest come first.
  void save_bytes(std::size_t devices_max, Effects& effects);
  // Devices with bytes that are not saved.
  [[nodiscard]] std::size_t unsaved_bytes() const noexcept { return devices_.unsaved_bytes(); }
  void lease_saved(const ManifestId& rollout, std::uint64_t bytes);

  // --- events from operators; `who`: as history names them ---
  using Taken = Rollouts::Taken;
  // `rollout`: hash of the manifest's payload. The manifest has been verified; `signers` are its keys. Errors: stale,
  // refused (its sequence), invalid_argument (its waves), too_large (kRolloutsMax).
  [[nodiscard]] Result<Taken> take_manifest(const ManifestId& rollout, const wire::Manifest& manifest,
                                            const std::vector<trust::KeyId>& signers, const std::string& who, Now now,
                                            Effects& effects);
  // See Rollouts::take_keys(). Before anything is loaded, and with each new root document.
  void take_keys(KeysInForce keys, Effects& effects);
  // See Rollouts::withdraw_unsigned().
  void withdraw_unsigned(Now now, Effects& effects);
  // Each may be said twice. Errors: not_found, refused.
  [[nodiscard]] Status act(const ManifestId& rollout, Action action, const std::string& who, Now now, Effects& effects);
  [[nodiscard]] Status approve(const ManifestId& rollout, const Yes& yes, const std::string& who, Now now,
                               Effects& effects);
  // Devices that have failed since the last retry may try again.
  [[nodiscard]] Status retry(const ManifestId& rollout, const std::string& who, Now now, Effects& effects);
  // See Devices::forget(), replace() and enrol().
  [[nodiscard]] Status forget(const DeviceId& device, OldKey old_key, WallMs now, Effects& effects);
  [[nodiscard]] Status replace(const DeviceId& device, trust::KeyId key, WallMs now, Effects& effects);
  void enrol(wire::Enrolment enrolment, Bytes envelope, Effects& effects);
  // An assignment is in force; without groups: none is any more. While loading too.
  void assign(const DeviceId& device, std::vector<GroupPath> groups);
  // New gates of each audience's rollout, fresh as of now.
  void refresh_gates(Now now, Effects& effects);
  // The wall clock is in doubt, or (empty) no more: until then no wave opens, and no gate is signed but such as stop
  // devices.
  void hold(std::string why, Effects& effects);

  // Once a second or more often: soaks, silence, turns, leases. O(rollouts that are some audience's current one).
  void tick(Now now, Effects& effects);
  // There are leases that should not wait for the second. O(1).
  [[nodiscard]] bool is_urgent() const noexcept { return rollouts_.is_urgent(); }

  // --- views; references hold until the next call that changes something ---
  // The turn that an ack is to give is still the device's.
  [[nodiscard]] bool has_turn(const DeviceId& device, std::uint64_t rollout, std::uint32_t attempt) const;
  [[nodiscard]] const Device* device(const DeviceId& device) const noexcept { return devices_.roster().find(device); }
  [[nodiscard]] const std::map<DeviceId, Device>& devices() const noexcept { return devices_.roster().all(); }
  // Devices that have never taken part in a rollout: none has had bytes of one, nor moved one by a report.
  [[nodiscard]] std::size_t unknown_count() const noexcept { return devices_.roster().newcomers().count(); }
  // Of them, those under whose name and key two speak. Time: once through the devices.
  [[nodiscard]] std::size_t cloned_count(WallMs now) const;
  [[nodiscard]] const Enrolments& enrolments() const noexcept { return devices_.roster().enrolments(); }
  [[nodiscard]] std::size_t online_count() const noexcept { return devices_.roster().online_count(); }
  [[nodiscard]] std::optional<RolloutView> rollout(const ManifestId& rollout) const noexcept;
  [[nodiscard]] std::vector<std::pair<ManifestId, RolloutView>> rollouts() const;
  // The sequence for a new release of the product to these groups. Time: once through the devices.
  [[nodiscard]] Sequences::Next next_sequence(std::string_view product, const std::vector<GroupPath>& groups) const {
    return rollouts_.next_sequence(product, groups, devices_);
  }
  // The rollout whose manifest stands on each topic: of one product in one group.
  [[nodiscard]] const std::map<Audience, ManifestId>& current_rollouts() const noexcept;
  // What the rollout's current wave waits for; empty when it waits for nothing.
  [[nodiscard]] std::string waiting_for(const ManifestId& rollout, Now now) const;
  // The hash whose first 8 bytes are these; for topics and fetches.
  [[nodiscard]] std::optional<ManifestId> by_prefix(std::uint64_t prefix64) const;
  // Between two events.
  void assert_invariants() const;

 private:
  // Hands on what an event has changed in the counts.
  void pass_counts(Effects& effects) { rollouts_.take_counts(devices_.take_changes(), effects); }

  Devices devices_;
  Rollouts rollouts_;
  WallMs seen_;             // of the last tick
  bool times_due_ = true;   // the wall clock may have gone back: times in the store are to be looked at
  bool gates_due_ = false;  // it has, by so much that devices would wait for what was signed
};

}  // namespace instar::rollout
