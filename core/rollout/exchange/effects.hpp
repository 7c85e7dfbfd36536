// What the broker's machine wants done. The shell carries the effects of one call out so: all Save* and Remove* in one
// atomic write; when that is durable, the rest in order; when it fails, nothing, and a new Tracker is loaded from the
// store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/ids.hpp"
#include "core/base/log_level.hpp"
#include "core/wire/messages.hpp"

namespace instar::rollout {

// The devices of one product in a group, and in those below it: a manifest and a gate stand for each.
struct Audience {
  GroupPath group;
  std::string product;
  friend auto operator<=>(const Audience&, const Audience&) = default;
};

struct SaveDevice {
  DeviceId device;
  Bytes record;
};
// The record and the device's history, which ends with `last_report`.
struct RemoveDevice {
  DeviceId device;
  std::uint64_t last_report = 0;
};
// The keys of a device that were taken back; nullopt: none any more.
struct SaveTombstones {
  DeviceId device;
  std::optional<Bytes> record;
};
// The operator's signed word on a device.
struct SaveEnrolment {
  DeviceId device;
  Bytes envelope;
};
// The one-time token with this hash has pinned the device's key.
struct SpendToken {
  DeviceId device;
  Hash256 token_hash;
};
struct SaveMember {
  ManifestId rollout;
  DeviceId device;
  Bytes record;
};
struct RemoveMember {
  ManifestId rollout;
  DeviceId device;
};
struct SaveRollout {
  ManifestId rollout;
  Bytes record;
};
// The record, its manifest and its history (entries 0 … events-1, of which the last kHistoryEventsMax are there).
struct RemoveRollout {
  ManifestId rollout;
  std::uint64_t events = 0;
};
// An entry of a history; the one that it pushes out, if any, goes in the same write.
struct SaveReport {
  DeviceId device;
  std::uint64_t sequence = 0;
  Bytes record;
};
struct SaveEvent {
  ManifestId rollout;
  std::uint64_t number = 0;
  Bytes record;
};

// `endings`: of rollouts that the device has to leave, to be signed and go with the ack.
struct SendAck {
  DeviceId device;
  wire::Ack ack;
  std::vector<wire::Gate> endings = {};
};
// To be signed and published, retained.
struct SendGate {
  wire::Gate gate;
};
// The manifest of a rollout that was taken before is to be published again, retained, if the rollout is its audience's
// current one still.
struct OfferManifest {
  Audience audience;
  ManifestId rollout;
};
// The retained manifest on that topic is to be taken away.
struct ClearManifest {
  Audience audience;
};
// Counts or state of a rollout have changed.
struct ShowStatus {
  ManifestId rollout;
};
// The lease is durable: Tracker::lease_saved() is to be called.
struct LeaseSaved {
  ManifestId rollout;
  std::uint64_t bytes = 0;
};
// `about`: a line about one device, of which there may be very many.
struct Note {
  LogLevel level = LogLevel::info;
  std::string text;
  std::optional<DeviceId> about = std::nullopt;
};

using Effect = std::variant<SaveDevice, RemoveDevice, SaveTombstones, SaveEnrolment, SpendToken, SaveMember,
                            RemoveMember, SaveRollout, RemoveRollout, SaveReport, SaveEvent, SendAck, SendGate,
                            OfferManifest, ClearManifest, ShowStatus, LeaseSaved, Note>;
using Effects = std::vector<Effect>;

}  // namespace instar::rollout
