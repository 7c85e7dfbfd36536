#include "broker-plugin/rollout_store.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>

#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/placement.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

// This store took the manifest when its signatures had been checked.
Result<std::shared_ptr<const rollout::Release>> release_in(ByteView envelope) {
  INSTAR_TRY(const auto parsed, trust::parse_envelope(envelope));
  INSTAR_TRY(const auto manifest, wire::decode_manifest(parsed.payload));
  return rollout::release_of(manifest, trust::signers_of(parsed));
}

using Damaged = std::function<void(const char* column, ByteView key, const Error& error)>;

// Who may be which device: keys that were taken back, enrolments, assignments. Before the devices.
Status load_identities(storage::Store& store, rollout::Tracker& tracker, const Damaged& damaged) {
  using storage::Column;
  INSTAR_CHECK(store.scan(Column::meta, storage::kTombstonePrefix, [&](ByteView key, ByteView value) {
    const auto device = storage::parse_tombstone_key(key);
    auto record = rollout::decode_tombstones(value);
    if (device.has_value() && record.has_value()) {
      tracker.load_tombstones(*device, std::move(*record));
    } else if (!record.has_value()) {
      damaged("meta", key, record.error());
    }
    return true;
  }));
  INSTAR_CHECK(store.scan(Column::meta, storage::kEnrolmentPrefix, [&](ByteView key, ByteView value) {
    const auto envelope = trust::parse_envelope(value);
    auto enrolment = envelope.has_value() ? wire::decode_enrolment(envelope->payload) : fail(envelope.error());
    if (enrolment.has_value()) {
      tracker.load_enrolment(std::move(*enrolment));
    } else {
      damaged("meta", key, enrolment.error());
    }
    return true;
  }));
  INSTAR_CHECK(store.scan(Column::meta, storage::kSpentPrefix, [&](ByteView key, ByteView value) {
    const auto device = storage::parse_spent_key(key);
    const auto hash = Hash256::from_bytes(value);
    if (device.has_value() && hash.has_value()) tracker.load_spent_token(*device, *hash);
    return true;
  }));
  return store.scan(Column::meta, storage::kAssignmentPrefix, [&](ByteView key, ByteView value) {
    const auto device = storage::parse_assignment_key(key);
    const auto envelope = trust::parse_envelope(value);
    auto assignment = envelope.has_value() ? wire::decode_assignment(envelope->payload) : fail(envelope.error());
    if (!assignment.has_value()) {
      damaged("meta", key, assignment.error());
    } else if (device.has_value()) {
      tracker.assign(*device, std::move(assignment->groups));
    }
    return true;
  });
}

}  // namespace

bool add_write(storage::Batch& batch, const rollout::Effect& effect) {
  using storage::Column;
  return std::visit(
      Overloaded{[&](const rollout::SaveDevice& e) {
                   batch.push_back({Column::devices, storage::device_key(e.device), e.record});
                   return true;
                 },
                 [&](const rollout::RemoveDevice& e) {
                   batch.push_back({Column::devices, storage::device_key(e.device), std::nullopt});
                   const auto kept = std::min<std::uint64_t>(e.last_report, limits::kHistoryReportsMax);
                   for (std::uint64_t i = 0; i < kept; ++i) {
                     batch.push_back({Column::history, storage::report_key(e.device, e.last_report - i), std::nullopt});
                   }
                   return true;
                 },
                 [&](const rollout::SaveTombstones& e) {
                   batch.push_back({Column::meta, storage::tombstone_key(e.device), e.record});
                   return true;
                 },
                 [&](const rollout::SaveEnrolment& e) {
                   batch.push_back({Column::meta, storage::enrolment_key(e.device), e.envelope});
                   return true;
                 },
                 [&](const rollout::SpendToken& e) {
                   batch.push_back({Column::meta, storage::spent_key(e.device), to_bytes(e.token_hash.bytes)});
                   return true;
                 },
                 [&](const rollout::SaveMember& e) {
                   batch.push_back({Column::members, storage::member_key(e.rollout, e.device), e.record});
                   return true;
                 },
                 [&](const rollout::RemoveMember& e) {
                   batch.push_back({Column::members, storage::member_key(e.rollout, e.device), std::nullopt});
                   return true;
                 },
                 [&](const rollout::SaveRollout& e) {
                   batch.push_back({Column::rollouts, storage::rollout_key(e.rollout), e.record});
                   return true;
                 },
                 [&](const rollout::RemoveRollout& e) {
                   batch.push_back({Column::rollouts, storage::rollout_key(e.rollout), std::nullopt});
                   batch.push_back({Column::rollouts, storage::manifest_key(e.rollout), std::nullopt});
                   const auto kept = std::min<std::uint64_t>(e.events, limits::kHistoryEventsMax);
                   for (std::uint64_t i = 1; i <= kept; ++i) {
                     batch.push_back({Column::history, storage::event_key(e.rollout, e.events - i), std::nullopt});
                   }
                   return true;
                 },
                 [&](const rollout::SaveReport& e) {
                   batch.push_back({Column::history, storage::report_key(e.device, e.sequence), e.record});
                   return true;
                 },
                 [&](const rollout::SaveEvent& e) {
                   batch.push_back({Column::history, storage::event_key(e.rollout, e.number), e.record});
                   if (e.number >= limits::kHistoryEventsMax) {
                     const auto oldest = e.number - limits::kHistoryEventsMax;
                     batch.push_back({Column::history, storage::event_key(e.rollout, oldest), std::nullopt});
                   }
                   return true;
                 },
                 [](const auto&) { return false; }},
      effect);
}

Result<rollout::Tracker> load_tracker(storage::Store& store, const Roots& roots, bool listed, Now now, const Log& log) {
  rollout::Tracker tracker;
  rollout::Effects none;
  if (roots.trust() != nullptr) tracker.take_keys(roots.keys(), none);
  const auto damaged = [&](const char* column, ByteView key, const Error& error) {
    log.write(LogLevel::error,
              "a record of column " + std::string(column) + " (" + to_hex(key) + ") is passed over: " + error.message);
  };
  tracker.demand_enrolment(listed);
  INSTAR_CHECK(load_identities(store, tracker, damaged));
  std::map<ManifestId, std::shared_ptr<const rollout::Release>> releases;
  INSTAR_CHECK(store.scan(storage::Column::rollouts, storage::kManifestPrefix, [&](ByteView key, ByteView value) {
    const auto hash = storage::parse_manifest_key(key);
    auto release = release_in(value);
    if (hash.has_value() && release.has_value()) {
      releases[*hash] = std::move(*release);
    } else if (!release.has_value()) {
      damaged("rollouts", key, release.error());
    }
    return true;
  }));
  INSTAR_CHECK(store.scan(storage::Column::rollouts, storage::kRolloutPrefix, [&](ByteView key, ByteView value) {
    const auto hash = storage::parse_rollout_key(key);
    auto record = rollout::decode_rollout_record(value);
    const auto release = hash.has_value() ? releases.find(*hash) : releases.end();
    if (!record.has_value()) {
      damaged("rollouts", key, record.error());
    } else if (release == releases.end() || record->wave >= wire::wave_count(release->second->policy)) {
      damaged("rollouts", key, {Code::corrupt, "its manifest is missing, or not the one that it was made from"});
    } else {
      tracker.load_rollout(*hash, std::move(*record), release->second);
    }
    return true;
  }));
  INSTAR_CHECK(store.scan(storage::Column::devices, "", [&](ByteView key, ByteView value) {
    const auto device = storage::parse_device_key(key);
    auto record = rollout::decode_device_record(value);
    if (device.has_value() && record.has_value()) {
      tracker.load_device(*device, std::move(*record));
    } else if (!record.has_value()) {
      damaged("devices", key, record.error());
    }
    return true;
  }));
  INSTAR_CHECK(store.scan(storage::Column::members, "", [&](ByteView key, ByteView value) {
    const auto member = storage::parse_member_key(key);
    auto record = rollout::decode_member_record(value);
    if (member.has_value() && record.has_value()) {
      tracker.load_member(member->first, member->second, std::move(*record));
    } else if (!record.has_value()) {
      damaged("members", key, record.error());
    }
    return true;
  }));
  tracker.loaded(now);
  return tracker;
}

std::vector<StoredManifest> read_manifests(storage::Store& store, const rollout::Tracker& tracker, const Log& log) {
  std::vector<StoredManifest> out;
  const auto scanned =
      store.scan(storage::Column::rollouts, storage::kManifestPrefix, [&](ByteView key, ByteView value) {
        const auto id = storage::parse_manifest_key(key);
        for (const auto& [audience, current] : tracker.current_rollouts()) {
          if (id == current && tracker.rollout(current)->is_in_force) out.push_back({audience, to_bytes(value)});
        }
        return true;
      });
  if (!scanned.has_value()) {
    log.write(LogLevel::error, "manifests could not be read from the store: " + scanned.error().message);
  }
  return out;
}

std::vector<StoredAssignment> read_assignments(storage::Store& store, const Log& log) {
  std::vector<StoredAssignment> out;
  const auto scanned = store.scan(storage::Column::meta, storage::kAssignmentPrefix, [&](ByteView key, ByteView value) {
    const auto device = storage::parse_assignment_key(key);
    if (device.has_value()) out.push_back({*device, to_bytes(value)});
    return true;
  });
  if (!scanned.has_value()) {
    log.write(LogLevel::error, "assignments could not be read from the store: " + scanned.error().message);
  }
  return out;
}

}  // namespace instar::broker
