// The devices' side of the broker's machine: applies what devices say, keeps who is a member of which rollout, and
// yields counts. Of a rollout it knows the terms alone; when a wave opens and who gets a turn is not for it to decide.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "core/rollout/devices/members.hpp"
#include "core/rollout/devices/offers.hpp"
#include "core/rollout/devices/roster.hpp"
#include "core/rollout/devices/unsaved_bytes.hpp"
#include "core/rollout/exchange/fleet.hpp"
#include "core/wire/messages.hpp"

namespace instar::rollout {

// Whether a device that is forgotten may come back by the keys that it had.
enum class OldKey : std::uint8_t {
  taken_back,
  allowed,    // also by those that were taken back before
  untouched,  // by its last one; what was taken back before stays so
};

class Devices final : public Fleet {
 public:
  // --- loading: in this order, then loaded() once ---
  // Devices that have never taken part, of one login.
  void bound_newcomers(std::size_t login_max) noexcept { roster_.bound_newcomers(login_max); }
  void load_terms(const ManifestId& rollout, Terms terms);
  void load_device(const DeviceId& device, DeviceRecord record);
  void load_member(const ManifestId& rollout, const DeviceId& device, MemberRecord record);
  void loaded(Now now);

  // --- events; what they change in the counts is for take_changes() ---
  // Takes over what the device says of itself and finds its target; false: it was taken before, and nothing changes.
  // Errors: those of Roster::check(); `effects` may have some all the same.
  [[nodiscard]] Result<bool> hello(const wire::Hello& hello, const Origin& origin, Now now, Effects& effects);
  // After hello(): takes over where the device is in its rollout, if no report of that is still to come. True: its
  // member has changed.
  [[nodiscard]] bool adopt_step(const wire::Hello& hello, Now now, Effects& effects);
  // After that: puts a device that asks for its turn in the queue. True: it waits for an answer.
  [[nodiscard]] bool queue_for_turn(const wire::Hello& hello, Effects& effects);
  // Applies the report if it is the next in order; false: it is not. Errors: not_found (no hello yet).
  [[nodiscard]] Result<bool> report(const wire::Report& report, Now now, Effects& effects);
  // Saves the device, with the bytes that were counted for its memberships.
  void save(const DeviceId& device, Effects& effects);
  void send_ack(const DeviceId& device, Effects& effects, std::vector<wire::Gate> endings = {}) const;
  // Some message of the device came.
  void heard(const DeviceId& device, Now now);
  // It is connected.
  void is_there(const DeviceId& device);
  void gone(const DeviceId& device, Now now);
  // Errors: not_found (with `allowed` also: and none of its keys was taken back).
  [[nodiscard]] Status forget(const DeviceId& device, OldKey old_key, WallMs now, Effects& effects);
  // Other hardware takes its place: its key is taken back, and another one (0: the first that comes) is pinned by its
  // next hello. Its groups, its history and its part in what goes on stay; it begins anew. Errors: not_found.
  [[nodiscard]] Status replace(const DeviceId& device, trust::KeyId key, WallMs now, Effects& effects);
  // An operator has enrolled the device. What it is by that counts at once when it is known.
  void enrol(wire::Enrolment enrolment, Effects& effects);
  [[nodiscard]] Roster& roster() noexcept { return roster_; }
  // Bytes went out to a device that is known; `rollout`: for it, whether the device is a member or not.
  void count_bytes(const DeviceId& device, const std::optional<ManifestId>& rollout, std::uint64_t bytes);
  // Saves the counted bytes of at most so many devices.
  void save_bytes(std::size_t devices_max, Effects& effects);

  // The wall clock has gone back: times of devices that lie after `now` become that. O(devices).
  void mend_times(Now now, Effects& effects);

  // The rollouts whose counts have changed since the last call.
  [[nodiscard]] CountChanges take_changes();

  // --- questions of the rollout's side ---
  CountChanges offer(const ManifestId& rollout, Terms terms, Effects& effects) override;
  Counts archive(const ManifestId& rollout, Effects& effects) override;
  void withdraw(const ManifestId& rollout, Effects& effects) override;
  [[nodiscard]] std::optional<std::uint32_t> point_after(const ManifestId& rollout, std::uint64_t count) const override;
  [[nodiscard]] std::uint64_t in_flight(const ManifestId& rollout, std::int64_t silent_ms,
                                        MonotonicMs now) const override;
  [[nodiscard]] std::optional<TurnRequest> next_request(const ManifestId& rollout, Latecomers latecomers) override;
  CountChanges give_turn(const ManifestId& rollout, const TurnRequest& request, Effects& effects) override;
  [[nodiscard]] std::uint64_t failed_since(const ManifestId& rollout, std::optional<WallMs> since) const override;
  [[nodiscard]] std::vector<SequenceClaim> claims(std::string_view product, std::uint32_t since) const override;

  // --- views; references hold until the next call that changes something ---
  [[nodiscard]] const Roster& roster() const noexcept { return roster_; }
  // nullptr: there is no such rollout.
  [[nodiscard]] const Members* members(const ManifestId& rollout) const noexcept;
  // The rollout goes on, brings the pack, is for the device by its product and groups, and one of its open waves admits
  // it.
  [[nodiscard]] bool may_fetch(const ManifestId& rollout, const DeviceId& device, const PackId& pack) const;
  // What was sent to the device for the rollout; 0 if it is no member.
  [[nodiscard]] std::uint64_t bytes_sent(const ManifestId& rollout, const DeviceId& device) const noexcept;
  [[nodiscard]] std::size_t unsaved_bytes() const noexcept { return unsaved_.size(); }
  void assert_invariants() const;

 private:
  void apply(const wire::Report& report, Now now, Effects& effects);
  // The member after a report that may follow.
  [[nodiscard]] MemberRecord moved(MemberRecord member, const Terms& terms, const wire::Report& report, Now now,
                                   Members& members);
  // Why what a device says of a rollout, which must be known, does not count; nullopt: it counts.
  [[nodiscard]] std::optional<std::string> objection(const ManifestId& rollout, const DeviceId& device,
                                                     std::uint32_t attempt) const;
  // Finds the device's target again, and moves a membership there that has not begun. nullptr: while loading.
  void place(const DeviceId& id, Device& device, Effects* effects);
  void place_product(std::string_view product, Effects& effects);
  // The times of the rollout's waves have moved back from `opened_before`.
  void keep_known(const ManifestId& rollout, const std::vector<WallMs>& opened_before, Effects& effects);
  void mark_seen(const DeviceId& device, const std::optional<ManifestId>& rollout);
  void save_member(const ManifestId& rollout, const DeviceId& device, MemberRecord record, Effects& effects);
  void drop_member(const ManifestId& rollout, const DeviceId& device, Effects& effects);
  void drop_members(const ManifestId& rollout, Effects& effects);
  // The members of a rollout that are about to change; nullptr: there is no such rollout.
  [[nodiscard]] Members* change(const ManifestId& rollout);

  Roster roster_;
  Offers offers_;
  std::map<ManifestId, Members> members_;  // of each offer
  UnsavedBytes unsaved_;
  std::uint64_t ask_last_ = 0;    // the last place in any queue for turns
  std::set<ManifestId> changed_;  // since take_changes()
};

}  // namespace instar::rollout
