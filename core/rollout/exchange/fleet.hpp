// The border between the two sides of the broker's machine. The devices' side knows each device and member, and of a
// rollout only its terms. The rollout's side knows each rollout, and of the members only their counts. Values alone
// cross the border, so that the two can run on different machines.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/time.hpp"
#include "core/rollout/exchange/effects.hpp"
#include "core/rollout/exchange/record.hpp"
#include "core/trust/root.hpp"
#include "core/wire/manifest.hpp"

namespace instar::rollout {

// The members of one wave: those that it is the first to admit.
struct WaveCounts {
  std::uint64_t admitted = 0;
  std::uint64_t committed = 0;
  std::uint64_t failed = 0;
  std::uint64_t left_out = 0;  // refused it, or were stopped: say nothing about the release
  std::uint64_t retrying = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t waiting = 0;
  std::uint64_t unseen = 0;  // of those that have not ended: no message since the current wave opened
  std::uint64_t late = 0;    // admitted too, but move nothing (Weight::none); in none of the numbers above
  friend bool operator==(const WaveCounts&, const WaveCounts&) = default;
  WaveCounts& operator+=(const WaveCounts& other) noexcept;
  [[nodiscard]] std::uint64_t seen() const noexcept { return admitted - unseen; }
};

// Whether a member moves the rollout: its waves, its error budget, its end. One that came after the first wave had
// opened could be anybody's invention, so it moves nothing until the broker has served it bytes of the release.
enum class Weight : std::uint8_t { none, full };

// What the rollout's side decides by, of members with weight alone. Absolute numbers: the latest replaces all before
// it.
struct Tally {
  std::uint64_t devices = 0;
  std::uint64_t committed = 0;
  std::uint64_t failed = 0;  // for good
  bool all_ended = true;
  std::vector<WaveCounts> waves;  // of all waves of the policy; nothing is admitted to those not opened
  // Of the same: devices that the wave names and that are no members, or late.
  std::vector<std::uint64_t> named_unknown;
  std::uint64_t known = 0;           // members, of a wave or not, that were known when the first one opened
  std::uint64_t late_begun = 0;      // latecomers, so without weight, that have begun or have their turn
  std::uint64_t late_not_ended = 0;  // latecomers that have not come to an end
  friend bool operator==(const Tally&, const Tally&) = default;
};

// The members of a rollout have changed.
struct CountChange {
  ManifestId rollout;
  Tally tally;
  WallMs updated;               // the latest time of a member that was written; 0: none was
  std::uint64_t recovered = 0;  // members that had failed and have begun another attempt
};
using CountChanges = std::vector<CountChange>;

// What the broker needs of a manifest after it was taken.
struct Release {
  wire::Policy policy;
  WallMs issued;                  // when it was signed, by the clock of the machine that signed it
  WallMs expires;                 // 0 = never
  std::vector<PackId> packs;      // ascending; nothing else is served for the rollout
  std::uint64_t bytes_full = 0;   // of the largest pack of each artifact: no device can save more
  std::uint64_t bytes_packs = 0;  // of all packs: no device can plan or fetch more
  std::vector<trust::KeyId> signers;
  Hash256 content;  // wire::content_hash()
};
[[nodiscard]] std::shared_ptr<const Release> release_of(const wire::Manifest& manifest,
                                                        std::vector<trust::KeyId> signers = {});

// Who may sign releases, and since which version of the root document: with that one, keys of before were taken out, or
// were given other groups. What a device that holds an older one has obeyed says nothing any more.
struct KeysInForce {
  trust::ReleaseKeys keys;
  std::uint32_t since = 0;
};

// Devices in the same groups, and the sequence that a release must be above to be taken by them, as they say.
struct SequenceClaim {
  std::vector<GroupPath> groups;
  std::uint64_t highest = 0;
  std::uint64_t devices = 0;
  friend bool operator==(const SequenceClaim&, const SequenceClaim&) = default;
};

// What the devices' side knows of a rollout: for whom it is, and how far it is open. Absolute, like a tally.
struct Terms {
  std::string product;
  std::uint64_t sequence = 0;
  std::vector<GroupPath> groups;
  WallMs started;
  bool goes_on = true;                     // active or paused: devices are to take it
  bool archived = false;                   // its members are no longer kept
  bool in_force = true;                    // its keys are: devices would take it
  std::vector<std::uint64_t> wave_limits;  // of the waves opened so far (core/wire/placement.hpp)
  std::vector<WallMs> wave_opened;         // of the same
  std::uint32_t retry_epoch = 0;
  std::shared_ptr<const Release> release;
  [[nodiscard]] const wire::Policy& policy() const noexcept { return release->policy; }
};

// A device asks for its turn, the permission to start an attempt.
struct TurnRequest {
  DeviceId device;
  std::uint32_t attempt = 0;
  bool given_before = false;  // it has its turn, and the ack that said so did not arrive
  friend bool operator==(const TurnRequest&, const TurnRequest&) = default;
};

// Whether latecomers that have not begun are given turns. They are not where a wave by count has as many as it may.
enum class Latecomers : std::uint8_t { wait, may_begin };

// What the rollout's side asks of the devices' side. `rollout` must have been offered, and not withdrawn.
class Fleet {
 public:
  virtual ~Fleet() = default;
  // The terms of a new or a changed rollout. If a wave has opened since the terms before, all members are admitted
  // again, and only connected devices count as seen. Otherwise each device of the product gets its target again.
  virtual CountChanges offer(const ManifestId& rollout, Terms terms, Effects& effects) = 0;
  // Drops the members and returns what they add up to. The terms stay.
  virtual Counts archive(const ManifestId& rollout, Effects& effects) = 0;
  // Drops members and terms.
  virtual void withdraw(const ManifestId& rollout, Effects& effects) = 0;
  // The placement point below which `count` members lie; nullopt: there are no more than that.
  [[nodiscard]] virtual std::optional<std::uint32_t> point_after(const ManifestId& rollout,
                                                                 std::uint64_t count) const = 0;
  // Members that have their turn and have not ended. A device that has been silent for `silent_ms` does not count.
  [[nodiscard]] virtual std::uint64_t in_flight(const ManifestId& rollout, std::int64_t silent_ms,
                                                MonotonicMs now) const = 0;
  // Who is the next to get a turn? Those that have theirs and do not know it come first, then the order of asking.
  [[nodiscard]] virtual std::optional<TurnRequest> next_request(const ManifestId& rollout, Latecomers latecomers) = 0;
  // Gives the turn that next_request() has named, and notifies the device.
  virtual CountChanges give_turn(const ManifestId& rollout, const TurnRequest& request, Effects& effects) = 0;
  // Members that have failed, whatever the reason, and do not try again by themselves. Only those of after `since`.
  [[nodiscard]] virtual std::uint64_t failed_since(const ManifestId& rollout, std::optional<WallMs> since) const = 0;
  // Of the product's devices, each counted once. Those with a root document before version `since` claim 0.
  [[nodiscard]] virtual std::vector<SequenceClaim> claims(std::string_view product, std::uint32_t since) const = 0;
};

}  // namespace instar::rollout
