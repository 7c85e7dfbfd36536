#include <algorithm>

#include "core/rollout/exchange/record.hpp"
#include "storage/key_layout.hpp"
#include "tests/sim/names.hpp"
#include "tests/sim/rollout_checks.hpp"

namespace instar::sim {
namespace {

// A gate leaves when its record is durable; the store may be so late.
constexpr std::int64_t kStoreDelayMs = 5'000;

std::vector<std::uint64_t> limits_in(storage::Store& store, const ManifestId& rollout) {
  std::vector<std::uint64_t> limits;
  const auto scanned =
      store.scan(storage::Column::rollouts, storage::rollout_key(rollout), [&](ByteView, ByteView value) {
        if (const auto record = rollout::decode_rollout_record(value)) limits = record->wave_limits;
        return false;
      });
  static_cast<void>(scanned);
  return limits;
}

// Who came after the first wave had opened, and was served nothing, proves nothing in any wave.
bool is_latecomer(storage::Store& store, const DeviceId& device, const rollout::MemberRecord& member, WallMs began) {
  if (member.bytes_sent > 0) return false;
  bool late = false;
  const auto scanned =
      store.scan(storage::Column::devices, storage::device_key(device), [&](ByteView key, ByteView value) {
        if (as_text(key) != storage::device_key(device)) return true;
        const auto record = rollout::decode_device_record(value);
        late = record && record->first_seen > began;
        return false;
      });
  static_cast<void>(scanned);
  return late;
}

}  // namespace

void WaveCheck::gate(const wire::Gate& gate, storage::Store& store) {
  const auto found = releases_.find(gate.manifest);
  if (found == releases_.end()) return world_.found("a gate of the broker names a release that nobody published");
  const auto& release = *found->second;
  auto& seen = seen_[gate.manifest];
  const auto name = "the gate of " + release.manifest.release;
  if (gate.issue < seen.issue) return;  // one that was on its way when the broker died
  seen.issue = gate.issue;
  if (gate.wave_opened.size() < seen.opened.size()) return world_.found(name + " goes back to an earlier wave");
  // The broker's wall clock may have been set back since, and its times with it. None becomes later.
  for (std::size_t i = 0; i < seen.opened.size(); ++i) {
    if (gate.wave_opened[i] > seen.opened[i])
      return world_.found(name + " opens a wave a second time, at a later time");
    seen.opened[i] = gate.wave_opened[i];
  }
  if (gate.wave_opened.back() > gate.fresh) return world_.found(name + " opens a wave in the future");
  if (gate.wave_opened.size() > seen.opened.size() + 1 && !seen.opened.empty()) {
    // Waves that are over at once may go out as one gate each, but never skip the record of a time.
    for (std::size_t i = seen.opened.size(); i + 1 < gate.wave_opened.size(); ++i) {
      if (i < release.manifest.policy.waves.size() && release.manifest.policy.waves[i].soak_s > 0) {
        return world_.found(name + " passes wave " + std::to_string(i + 1) + " without its soak");
      }
    }
  }
  const bool opens = gate.wave_opened.size() > seen.opened.size();
  const bool first = seen.opened.empty();
  // Of waves that open at once only the last one's limit is in the gate: those between are in the record that it was
  // made from.
  const auto limits = limits_in(store, gate.manifest);
  while (seen.opened.size() < gate.wave_opened.size()) {
    const auto wave = seen.opened.size();
    seen.opened.push_back(gate.wave_opened[wave]);
    const bool between = wave + 1 < gate.wave_opened.size() && wave < limits.size();
    seen.limits.push_back(between ? limits[wave] : gate.admitted_point);
    seen.when.push_back(world_.now());
  }
  if (!opens) return;
  ++opened_;
  if (!first) check_opening(release, seen, store);
}

void WaveCheck::check_opening(const Release& release, const Seen& seen, storage::Store& store) {
  const auto& policy = release.manifest.policy;
  const auto wave = seen.opened.size() - 2;  // the one that must have proved itself
  const auto name = "wave " + std::to_string(wave + 2) + " of " + release.manifest.release + " opens ";
  if (wave >= policy.waves.size()) return world_.found(name + "and is not in the policy");
  const auto& row = policy.waves[wave];
  if (seen.when[wave + 1] - seen.when[wave] + kStoreDelayMs < std::int64_t{row.soak_s} * 1'000) {
    return world_.found(name + std::to_string((seen.when[wave + 1] - seen.when[wave]) / 1'000) +
                        " s after the one before, its soak is " + std::to_string(row.soak_s) + " s");
  }
  if (row.approval && !approved_.contains({release.rollout, static_cast<std::uint32_t>(wave)})) {
    return world_.found(name + "without an operator's approval");
  }
  const std::vector<std::uint64_t> limits(seen.limits.begin(),
                                          seen.limits.begin() + static_cast<std::ptrdiff_t>(wave) + 1);
  std::uint64_t devices = 0;
  std::uint64_t committed = 0;
  std::uint64_t failed = 0;
  const auto prefix = std::string(as_text(release.rollout.bytes));
  const auto scanned = store.scan(storage::Column::members, prefix, [&](ByteView key, ByteView value) {
    const auto parsed = storage::parse_member_key(key);
    const auto record = rollout::decode_member_record(value);
    if (!parsed || !record || !is_of_fleet(parsed->second.str())) return true;
    if (wave_of_device(policy, limits, parsed->second.str()) < 0) return true;
    if (is_latecomer(store, parsed->second, *record, seen.opened.front())) return true;
    ++devices;
    committed += record->step == wire::Step::committed ? 1 : 0;
    const bool is_failure = (record->step == wire::Step::failed || record->step == wire::Step::rolled_back) &&
                            record->code != Code::stale && record->code != Code::refused;
    failed += is_failure ? 1 : 0;
    return true;
  });
  static_cast<void>(scanned);
  if (devices > 0 && committed == 0) {
    return world_.found(name + "though of " + std::to_string(devices) + " devices before it none has committed");
  }
  if (committed * 10'000 < row.success_bp * (committed + failed)) {
    return world_.found(name + "though " + std::to_string(failed) + " failed and only " + std::to_string(committed) +
                        " committed");
  }
}

}  // namespace instar::sim
