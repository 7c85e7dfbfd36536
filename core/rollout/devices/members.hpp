// The members of one rollout, the sums over them, and the queue for turns.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/rollout/devices/turn_queue.hpp"
#include "core/rollout/exchange/fleet.hpp"

namespace instar::rollout {

struct Member {
  MemberRecord record;
  std::uint32_t point = 0;  // its place (core/wire/placement.hpp)
  std::int16_t wave = -1;   // the first that admits it; of a latecomer: and that opened when it was there; -1: none
  bool stored = false;      // false: follows from the device's groups alone
  bool seen = false;        // a message of it came since the current wave opened
  WallMs known_since;       // when the device itself became known here
  Weight weight = Weight::none;
  bool known = false;  // when the first wave opened
};

// Nothing of it is lost if it leaves the rollout: it has reported nothing and was sent nothing.
[[nodiscard]] bool is_untouched(const MemberRecord& member) noexcept;
// It has its turn, or has begun some attempt.
[[nodiscard]] bool has_begun(const MemberRecord& member) noexcept;

class Members {
 public:
  using IsOnline = std::function<bool(const DeviceId&)>;

  explicit Members(const wire::Policy& policy);

  [[nodiscard]] const Member* find(const DeviceId& device) const noexcept;
  [[nodiscard]] const std::map<DeviceId, Member>& all() const noexcept { return members_; }
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }
  [[nodiscard]] const TurnQueue& turns() const noexcept { return turns_; }

  // Writes the member's record. A new one gets its place, its wave and its weight by `terms`; `is_online`: it counts as
  // seen; `known_since`: when the device became known.
  void set(const Terms& terms, const DeviceId& device, MemberRecord record, bool stored, bool is_online,
           WallMs known_since);
  void remove(const DeviceId& device);
  void clear();
  // A message of the device came. True: that changes the counts.
  bool mark_seen(const DeviceId& device);
  void mark_stored(const DeviceId& device);
  // The times of the waves were put right, and were `opened_before`. Who was known when the first one opened still is:
  // those whose own time went back for that are returned.
  [[nodiscard]] std::vector<DeviceId> weigh(const std::vector<WallMs>& opened_before, const Terms& terms);
  // The time of a member that is here was put right.
  void set_known_since(const Terms& terms, const DeviceId& device, WallMs known_since);
  // True: the member has gained its weight by them.
  bool add_bytes(const Terms& terms, const DeviceId& device, std::uint64_t bytes);
  // `terms` say that a wave has opened: who moves nothing gets a new wave, and only those online count as seen.
  void admit(const Terms& terms, const IsOnline& is_online);
  // A member that had failed has begun another attempt.
  void note_recovered() noexcept { ++recovered_; }

  // The device has its turn and asks for it again.
  void repeat_turn(const DeviceId& device) { turns_.repeat(device); }
  void turn_repeated() { turns_.drop_repeat(); }
  // Forgets repeats that are needed no more.
  [[nodiscard]] std::optional<TurnRequest> next_request(Latecomers latecomers);
  [[nodiscard]] bool has_turn(const DeviceId& device, std::uint32_t attempt) const noexcept;

  [[nodiscard]] std::optional<std::uint32_t> point_after(std::uint64_t count) const;
  [[nodiscard]] std::uint64_t failed_since(std::optional<WallMs> since) const;
  [[nodiscard]] Tally tally() const;
  // What has changed since the last call.
  [[nodiscard]] CountChange take_change(const ManifestId& rollout);
  void assert_invariants() const;

 private:
  // In and out again comes to nothing: only what `member` itself says is looked at.
  void count(const Member& member, bool in);
  static void count_wave(WaveCounts& wave, const Member& member, bool in);
  // Where a member belongs; one that came after all that admit it, to the first of them.
  [[nodiscard]] static std::int16_t wave_for(const Terms& terms, const DeviceId& device, const Member& member);
  // A latecomer that has not begun: in a wave by count it begins only while there is room.
  [[nodiscard]] static bool needs_room(const Member& member) noexcept;
  [[nodiscard]] static Weight weight_of(const Member& member) noexcept;
  void count_named(const DeviceId& device, const Member& member, bool in);
  // Each change of a member stands between the two: what it counts for is taken out, and put in again.
  void take_out(const DeviceId& device, const Member& member);
  void put_in(const Terms& terms, const DeviceId& device, Member& member);

  std::map<DeviceId, Member> members_;
  TurnQueue turns_;
  // Sums: over all members, and over those with weight.
  Counts counts_;
  Counts weighed_;
  std::uint64_t not_admitted_ = 0;
  std::uint64_t known_ = 0;           // see Tally
  std::uint64_t late_begun_ = 0;      // see Tally
  std::uint64_t late_not_ended_ = 0;  // see Tally
  std::uint64_t asking_settled_ = 0;  // of those that ask for a turn, the ones that need no room in a wave by count
  std::vector<WaveCounts> waves_;
  std::map<DeviceId, std::vector<std::size_t>> named_in_;  // the waves that name a device
  std::vector<std::uint64_t> named_unknown_;               // of each wave: names that are no members, or late
  // Since the last take_change().
  WallMs updated_;
  std::uint64_t recovered_ = 0;
};

}  // namespace instar::rollout
