// The broker's machine: which device is where in which rollout. Pure: events go in, effects come out. One thread.
//
// The shell carries out the effects of one call so: all Save* and Remove* in one atomic write; when that is durable, the rest
// in order; when it fails, nothing, and a new Tracker is loaded from the store.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/rollout/record.hpp"
#include "core/rollout/transitions.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"

namespace instar::rollout {

// --- effects ------------------------------------------------------------------------------------------
struct SaveDevice {
  DeviceId device;
  Bytes record;
};
struct RemoveDevice {
  DeviceId device;
};
struct SaveMember {
  Hash256 rollout;
  DeviceId device;
  Bytes record;
};
struct RemoveMember {
  Hash256 rollout;
  DeviceId device;
};
struct SaveRollout {
  Hash256 rollout;
  Bytes record;
};
// The record, its manifest and its members.
struct RemoveRollout {
  Hash256 rollout;
};
struct SendAck {
  DeviceId device;
  wire::Ack ack;
};
// To be signed and published, retained.
struct SendGate {
  wire::Gate gate;
};
// Counts or state of a rollout have changed.
struct ShowStatus {
  Hash256 rollout;
};
struct Note {
  int level = 6;  // syslog numbers
  std::string text;
};
using Effect =
    std::variant<SaveDevice, RemoveDevice, SaveMember, RemoveMember, SaveRollout, RemoveRollout, SendAck, SendGate, ShowStatus, Note>;
using Effects = std::vector<Effect>;

// --- views --------------------------------------------------------------------------------------------
using ReasonKey = std::pair<Code, std::string>;

// Sums over the members of a rollout.
struct Counts {
  std::array<std::uint64_t, kStepCount> by_step{};
  std::uint64_t devices = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_full = 0;
  std::map<ReasonKey, std::uint64_t> reasons;  // of members whose code is not ok
  friend bool operator==(const Counts&, const Counts&) = default;
  [[nodiscard]] std::uint64_t at(wire::Step step) const noexcept { return by_step[static_cast<std::size_t>(step)]; }
  [[nodiscard]] bool all_final() const noexcept;
  void add(const MemberRecord& member);
  void subtract(const MemberRecord& member);
};

struct Member {
  MemberRecord record;
  bool stored = false;  // false: follows from the device's groups alone
};

struct Rollout {
  RolloutRecord record;
  Counts counts;
  WallMs updated;  // of the record or of any member
  std::map<DeviceId, Member> members;
  // "active", "paused", "aborted", or "complete": active, with devices, all of which have come to an end.
  [[nodiscard]] std::string_view state_name() const noexcept;
};

struct Device {
  DeviceRecord record;
  std::optional<Hash256> target;  // the rollout that it should take
};

// Whether a hello came from a client that MQTT knows as this device, or over a bridge where that is not known.
enum class Via : std::uint8_t { own_connection, bridge };

class Tracker {
 public:
  // --- loading: in this order, then loaded() once ---
  void load_rollout(const Hash256& rollout, RolloutRecord record);
  void load_device(const DeviceId& device, DeviceRecord record);
  void load_member(const Hash256& rollout, const DeviceId& device, MemberRecord record);
  void loaded();

  // --- events from devices; the signature has been checked with `hello.key`, or with the pinned key ---
  // Errors: untrusted_key (another key is pinned), unavailable (kDevicesMax), stale (over a bridge, older than one heard).
  [[nodiscard]] Status hello(const wire::Hello& hello, Via via, Now now, Effects& effects);
  // Applied if it is the next in order; acked in any case. Errors: not_found (no hello yet).
  [[nodiscard]] Status report(const wire::Report& report, Now now, Effects& effects);
  // Payload bytes handed to the device for the rollout whose hash starts with `rollout`. Saved by save_bytes().
  void sent(const DeviceId& device, std::uint64_t rollout, std::uint64_t bytes);
  void save_bytes(Effects& effects);

  // --- events from operators ---
  enum class Taken : std::uint8_t { created, known };
  // `rollout`: hash of the manifest's payload. The manifest has been verified. Errors: stale (sequence), unsupported (waves).
  [[nodiscard]] Result<Taken> take_manifest(const Hash256& rollout, const wire::Manifest& manifest, Now now, Effects& effects);
  // Errors: not_found, refused.
  [[nodiscard]] Status act(const Hash256& rollout, Action action, Now now, Effects& effects);
  [[nodiscard]] Status forget(const DeviceId& device, Effects& effects);
  // New gates of each group's rollout, fresh as of now.
  void refresh_gates(Now now, Effects& effects);

  // --- views; references hold until the next call that changes something ---
  [[nodiscard]] const Device* device(const DeviceId& device) const noexcept;
  [[nodiscard]] const Rollout* rollout(const Hash256& rollout) const noexcept;
  [[nodiscard]] const std::map<DeviceId, Device>& devices() const noexcept { return devices_; }
  [[nodiscard]] const std::map<Hash256, Rollout>& rollouts() const noexcept { return rollouts_; }
  // The rollout whose manifest stands on each group's topic.
  [[nodiscard]] const std::map<GroupPath, Hash256>& group_rollouts() const noexcept { return group_rollouts_; }
  // 0: none yet.
  [[nodiscard]] std::uint64_t highest_sequence(std::string_view product) const;
  // Hash whose first 8 bytes are these; for topics and fetches.
  [[nodiscard]] std::optional<Hash256> by_prefix(std::uint64_t prefix64) const;
  // What `counts` must be, added up from the members.
  [[nodiscard]] static Counts recount(const Rollout& rollout);

 private:
  void apply(const wire::Report& report, Device& device, Now now, Effects& effects);
  void adopt_hello(const wire::Hello& hello, Device& device, Now now, Effects& effects);
  void set_member(const Hash256& hash, const DeviceId& device, MemberRecord record, bool stored);
  void save_member(const Hash256& hash, const DeviceId& device, MemberRecord record, Effects& effects);
  void drop_member(const Hash256& hash, const DeviceId& device, Effects* effects);
  // Finds the device's target anew, and moves its waiting membership there.
  void place(const DeviceId& id, Device& device, Effects* effects);
  void place_product(std::string_view product, Effects& effects);
  [[nodiscard]] std::optional<Hash256> find_target(const DeviceRecord& device) const;
  void index_rollout(const Hash256& hash, const RolloutRecord& record);
  void make_room(Effects& effects);
  void send_gates(const Hash256& hash, Rollout& rollout, Now now, Effects& effects);

  std::map<DeviceId, Device> devices_;
  std::map<Hash256, Rollout> rollouts_;
  std::map<std::string, std::map<std::uint64_t, Hash256>, std::less<>> by_product_;  // product → sequence → rollout
  std::map<std::uint64_t, Hash256> by_prefix_;
  std::map<GroupPath, Hash256> group_rollouts_;
  std::uint64_t order_last_ = 0;
  std::set<DeviceId> devices_with_new_bytes_;
  std::set<std::pair<Hash256, DeviceId>> members_with_new_bytes_;
};

}  // namespace instar::rollout
