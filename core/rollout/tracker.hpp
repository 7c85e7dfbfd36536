// The broker's machine: which device is where in which rollout, and who may go now. Pure: events go in, effects come
// out. One thread.
//
// What it decides by: counts over members, kept with every change (O(1) a report); policies of the signed manifests;
// its own records. Wall time is signed into gates and stored; durations (soak, silence, starts in a minute) are
// measured on the monotonic clock while the process lives, so that a wall clock that jumps opens no wave.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/rollout/effects.hpp"
#include "core/rollout/record.hpp"
#include "core/rollout/transitions.hpp"
#include "core/rollout/waves.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"

namespace instar::rollout {

struct Member {
  MemberRecord record;
  std::uint32_t point = 0;  // its place (core/wire/placement.hpp)
  std::int16_t wave = -1;   // the first that admits it; -1: none of those opened
  bool stored = false;      // false: follows from the device's groups alone
  bool seen = false;        // heard of since the current wave opened
};

// A turn, as the starts of a minute are counted.
struct Start {
  MonotonicMs told;  // last
  DeviceId device;
  std::uint32_t attempt = 0;
};

struct Rollout {
  RolloutRecord record;
  std::shared_ptr<const wire::Policy> policy;
  Counts counts;
  std::vector<WaveCounts> waves;  // of all waves of the policy; of those not opened nothing is admitted
  WallMs updated;                 // of the record or of any member
  std::map<DeviceId, Member> members;

  // Turns.
  std::map<std::uint64_t, DeviceId> queue;  // by order of asking
  std::set<DeviceId> in_flight;             // given a turn, and not ended
  std::deque<Start> starts;                 // of the last minute
  std::deque<DeviceId> untold;              // have their turn, and ask: it was not heard
  MonotonicMs no_starts_before;

  // The byte budget of the whole rollout.
  std::uint64_t bytes_charged = 0;
  std::uint64_t bytes_leased = 0;  // durable
  bool bytes_spent = false;

  MonotonicMs opened;   // the current wave
  MonotonicMs settled;  // its conditions hold since

  // "active", "paused", "aborted", "reverted", or "complete": active, its last wave open, with devices, all of which
  // have ended.
  [[nodiscard]] std::string_view state_name() const noexcept;
  [[nodiscard]] bool is_last_wave() const noexcept { return record.wave + 1 >= waves.size(); }
  [[nodiscard]] const Counts& sums() const noexcept { return record.archived.has_value() ? *record.archived : counts; }
};

struct Device {
  DeviceRecord record;
  std::optional<Hash256> target;  // the rollout that it should take
  bool online = false;
  MonotonicMs heard;
};

// Whether a hello came from a client that MQTT knows as this device, or over a bridge where that is not known.
enum class Via : std::uint8_t { own_connection, bridge };

// May these bytes go out?
enum class Charge : std::uint8_t {
  ok,
  device_spent,   // the device's byte budget is
  rollout_spent,  // the rollout's is; it is paused with the next tick
  wait,           // the rollout's lease is being extended
};

class Tracker {
 public:
  // --- loading: in this order, then loaded() once ---
  void load_rollout(const Hash256& rollout, RolloutRecord record, std::shared_ptr<const wire::Policy> policy);
  void load_device(const DeviceId& device, DeviceRecord record);
  void load_member(const Hash256& rollout, const DeviceId& device, MemberRecord record);
  void loaded(Now now);

  // --- events from devices; the signature has been checked with `hello.key`, or with the pinned key ---
  // Errors: untrusted_key (another key is pinned), unavailable (kDevicesMax), stale (over a bridge, older than one
  // heard).
  [[nodiscard]] Status hello(const wire::Hello& hello, Via via, Now now, Effects& effects);
  // Applied if it is the next in order; acked in any case. Errors: not_found (no hello yet).
  [[nodiscard]] Status report(const wire::Report& report, Now now, Effects& effects);
  // It is there: some message of it came.
  void heard(const DeviceId& device, Now now);
  void gone(const DeviceId& device, Now now);
  // It is connected still: for a tracker that was loaded again while devices were.
  void is_there(const DeviceId& device);
  // Before payload bytes are handed to the device for the rollout whose hash starts with `rollout`: counts them, if
  // they may go. Counted bytes become durable with the next report or hello of the device, or with save_bytes(); the
  // lease that bounds a rollout's budget is saved ahead of them.
  [[nodiscard]] Charge charge(const DeviceId& device, std::uint64_t rollout, std::uint64_t bytes);
  // Of at most so many devices: those that have waited longest come first.
  void save_bytes(std::size_t devices_max, Effects& effects);
  // Devices with bytes that are not saved.
  [[nodiscard]] std::size_t unsaved_bytes() const noexcept {
    return devices_with_new_bytes_.size() + devices_due_.size();
  }
  void lease_saved(const Hash256& rollout, std::uint64_t bytes);

  // --- events from operators; `who`: as history names them ---
  enum class Taken : std::uint8_t { created, known };
  // `rollout`: hash of the manifest's payload. The manifest has been verified. Errors: stale (sequence),
  // invalid_argument (its waves).
  [[nodiscard]] Result<Taken> take_manifest(const Hash256& rollout, const wire::Manifest& manifest,
                                            const std::string& who, Now now, Effects& effects);
  // Each may be said twice. Errors: not_found, refused.
  [[nodiscard]] Status act(const Hash256& rollout, Action action, const std::string& who, Now now, Effects& effects);
  // `wave`: from 0; nullopt: the current one.
  [[nodiscard]] Status approve(const Hash256& rollout, std::optional<std::uint32_t> wave, const std::string& who,
                               Now now, Effects& effects);
  // Devices that have failed since the last retry may try anew.
  [[nodiscard]] Status retry(const Hash256& rollout, const std::string& who, Now now, Effects& effects);
  [[nodiscard]] Status forget(const DeviceId& device, Effects& effects);
  // New gates of each group's rollout, fresh as of now.
  void refresh_gates(Now now, Effects& effects);

  // Once a second or more often: soaks, silence, turns, leases. O(rollouts that are some group's current one).
  void tick(Now now, Effects& effects);
  // Leases or turns that should not wait for the second. O(1).
  [[nodiscard]] bool is_urgent() const noexcept { return !leases_due_.empty(); }

  // The turn that an ack is to tell of still stands.
  [[nodiscard]] bool has_turn(const DeviceId& device, std::uint64_t rollout, std::uint32_t attempt) const;

  // --- views; references hold until the next call that changes something ---
  [[nodiscard]] const Device* device(const DeviceId& device) const noexcept;
  [[nodiscard]] const Rollout* rollout(const Hash256& rollout) const noexcept;
  [[nodiscard]] const std::map<DeviceId, Device>& devices() const noexcept { return devices_; }
  [[nodiscard]] std::size_t online_count() const noexcept { return online_; }
  [[nodiscard]] const std::map<Hash256, Rollout>& rollouts() const noexcept { return rollouts_; }
  // The rollout whose manifest stands on each group's topic.
  [[nodiscard]] const std::map<GroupPath, Hash256>& group_rollouts() const noexcept { return group_rollouts_; }
  // It is the current one of some group.
  [[nodiscard]] bool is_current(const Hash256& rollout) const;
  // What the rollout's current wave waits for; empty when it waits for nothing.
  [[nodiscard]] std::string waiting_for(const Rollout& rollout, Now now) const;
  // 0: none yet.
  [[nodiscard]] std::uint64_t highest_sequence(std::string_view product) const;
  // Hash whose first 8 bytes are these; for topics and fetches.
  [[nodiscard]] std::optional<Hash256> by_prefix(std::uint64_t prefix64) const;
  // What `counts` and `waves` must be, added up from the members.
  [[nodiscard]] static Counts recount(const Rollout& rollout);
  [[nodiscard]] static std::vector<WaveCounts> recount_waves(const Rollout& rollout);

 private:
  // --- tracker.cpp: devices
  void apply(const wire::Report& report, Device& device, Now now, Effects& effects);
  void adopt_hello(const wire::Hello& hello, Device& device, Now now, Effects& effects);
  void save_device(const DeviceId& id, const Device& device, Effects& effects);
  void recovered(const Hash256& hash, Rollout& rollout, Effects& effects);
  void answer_asking(const wire::Hello& hello, Now now, Effects& effects);

  // --- tracker_members.cpp
  void set_member(Rollout& rollout, const DeviceId& device, MemberRecord record, bool stored);
  void save_member(const Hash256& hash, const DeviceId& device, MemberRecord record, Effects& effects);
  void drop_member(const Hash256& hash, const DeviceId& device, Effects* effects);
  // The member's bytes are saved, or of no interest any more.
  void settle_bytes(const Hash256& hash, const DeviceId& device);
  static void count(Rollout& rollout, const Member& member, bool in);
  [[nodiscard]] Rollout* find_rollout(const Hash256& hash) noexcept;
  void mark_seen(const DeviceId& device, const std::optional<Hash256>& rollout);
  // Finds the device's target anew, and moves its waiting membership there.
  void place(const DeviceId& id, Device& device, Effects* effects);
  void place_product(std::string_view product, Effects& effects);
  [[nodiscard]] std::optional<Hash256> find_target(const DeviceRecord& device) const;

  // --- tracker_rollouts.cpp
  void index_rollout(const Hash256& hash, const RolloutRecord& record);
  void make_room(Effects& effects);
  void archive_old(std::string_view product, Effects& effects);
  void set_state(const Hash256& hash, Rollout& rollout, RolloutState state, const std::string& who, std::string what,
                 Now now, Effects& effects);
  void note_event(const Hash256& hash, Rollout& rollout, const std::string& who, std::string what, Now now,
                  Effects& effects);
  void save(const Hash256& hash, Rollout& rollout, Effects& effects);
  void send_gates(const Hash256& hash, Rollout& rollout, Now now, Effects& effects);

  // --- tracker_waves.cpp
  [[nodiscard]] Judgement judge(const Rollout& rollout, Now now) const;
  // Budget, waves, completion: after every change of a count, and with each tick.
  void advance(const Hash256& hash, Rollout& rollout, Now now, Effects& effects);
  [[nodiscard]] bool check_budgets(const Hash256& hash, Rollout& rollout, Now now, Effects& effects);
  void save_soak(const Hash256& hash, Rollout& rollout, Now now, Effects& effects);
  void open_wave(const Hash256& hash, Rollout& rollout, std::uint32_t wave, Now now, Effects& effects);
  [[nodiscard]] std::uint64_t limit_of(const Rollout& rollout, std::uint32_t wave) const;
  void admit(Rollout& rollout);

  // --- tracker_turns.cpp
  // A start for the policy's count of a minute, if there is room for one.
  [[nodiscard]] static bool take_start(Rollout& rollout, const DeviceId& device, std::uint32_t attempt, Now now);
  static void note_untold(Rollout& rollout, const DeviceId& device);
  void repeat_turns(const Hash256& hash, Rollout& rollout, Now now, Effects& effects);
  void give_turns(const Hash256& hash, Rollout& rollout, Now now, Effects& effects);
  [[nodiscard]] std::uint64_t count_in_flight(const Rollout& rollout, Now now) const;
  void extend_leases(Effects& effects);
  // What a lease grows by: small against the budget, since a crash costs the rest of it.
  [[nodiscard]] static std::uint64_t lease_step(const wire::Policy& policy) noexcept;

  std::map<DeviceId, Device> devices_;
  std::map<Hash256, Rollout> rollouts_;
  std::map<std::string, std::map<std::uint64_t, Hash256>, std::less<>> by_product_;  // product → sequence → rollout
  std::map<std::uint64_t, Hash256> by_prefix_;
  std::map<GroupPath, Hash256> group_rollouts_;
  std::set<Hash256> current_;  // the values of the above
  std::uint64_t order_last_ = 0;
  std::uint64_t ask_last_ = 0;
  std::size_t online_ = 0;
  std::set<Hash256> leases_due_;
  // Whose counted bytes are not saved, by the rollouts they count for as well. Those due are saved before newer ones
  // become due.
  using Unsaved = std::map<DeviceId, std::vector<Hash256>>;
  Unsaved devices_with_new_bytes_;
  Unsaved devices_due_;
};

}  // namespace instar::rollout
