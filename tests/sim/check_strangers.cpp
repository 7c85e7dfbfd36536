#include <algorithm>

#include "core/rollout/exchange/record.hpp"
#include "storage/key_layout.hpp"
#include "tests/sim/adversary_checks.hpp"
#include "tests/sim/names.hpp"

namespace instar::sim {

void StrangerCheck::report(const wire::Report& report) {
  if (!wire::is_final(report.step)) return;
  ended_[report.rollout].insert(report.device.str());
  if (report.step != wire::Step::committed) failed_[report.rollout].insert(report.device.str());
}

void StrangerCheck::served(const std::string& device, std::uint32_t bytes) {
  if (is_of_fleet(device)) return;
  world_.found(device + " is served " + std::to_string(bytes) + " bytes of a release that is not for it");
}

void StrangerCheck::gate(const wire::Gate& gate, const storage::MemoryStore& store) {
  const auto release = releases_.find(gate.manifest);
  if (release == releases_.end() || gate.issue < issues_[gate.manifest]) return;
  issues_[gate.manifest] = gate.issue;
  if (gate.state == wire::GateState::open) {
    stopped_.erase(gate.manifest);
    return;
  }
  if (!stopped_.insert(gate.manifest).second) return;
  const auto bytes = store.durable(storage::Column::rollouts, storage::rollout_key(gate.manifest));
  const auto record =
      bytes ? rollout::decode_rollout_record(*bytes) : Result<rollout::RolloutRecord>(fail(Code::not_found, ""));
  if (record) check_budget(*release->second, record->cause);
}

// How many have failed by what they said themselves: at least as many as the broker may count.
void StrangerCheck::check_budget(const Release& release, const std::string& cause) {
  if (!cause.starts_with("its error budget is spent")) return;
  const auto& policy = release.manifest.policy;
  const auto failed = failed_[release.rollout].size();
  const bool by_number = policy.failures_max > 0 && failed >= policy.failures_max;
  if (by_number || (policy.failures_bp > 0 && failed > 0)) return;
  world_.found("the error budget of " + release.manifest.release + " is spent, and of the fleet " +
               std::to_string(failed) + " devices have failed");
}

void StrangerCheck::look(storage::Store& store) {
  std::set<std::string> counted;
  auto scanned = store.scan(storage::Column::members, "", [&](ByteView key, ByteView) {
    const auto parsed = storage::parse_member_key(key);
    if (parsed && is_foreign(parsed->second.str())) counted.insert(parsed->second.str());
    return true;
  });
  for (const auto& name : counted) world_.found(name + " counts in a rollout that is not for it");
  scanned = store.scan(storage::Column::rollouts, storage::kRolloutPrefix, [&](ByteView key, ByteView value) {
    const auto id = storage::parse_rollout_key(key);
    const auto record = rollout::decode_rollout_record(value);
    if (!id || !record || record->completed.value == 0 || !ended_[*id].empty()) return true;
    world_.found("the rollout of " + record->release + " is complete, and nobody of the fleet has ended it");
    return true;
  });
  static_cast<void>(scanned);
}

}  // namespace instar::sim
