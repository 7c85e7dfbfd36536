#include <algorithm>

#include "core/trust/digest.hpp"
#include "tests/sim/rollout_checks.hpp"

namespace instar::sim {

std::uint32_t place_of(const wire::Policy& policy, const std::string& device) {
  Bytes input = policy.salt;
  input.insert(input.end(), device.begin(), device.end());
  const auto hash = trust::digest(input);
  std::uint32_t place = 0;
  for (int i = 7; i >= 4; --i) place = place << 8 | hash.bytes[static_cast<std::size_t>(i)];
  return place;
}

int wave_of_device(const wire::Policy& policy, const std::vector<std::uint64_t>& limits, const std::string& device) {
  for (std::size_t wave = 0; wave < limits.size(); ++wave) {
    if (place_of(policy, device) < limits[wave]) return static_cast<int>(wave);
    if (wave < policy.waves.size() && std::ranges::count(policy.waves[wave].devices, device) > 0)
      return static_cast<int>(wave);
  }
  return -1;
}

void AdmissionCheck::started(const Start& start) {
  const auto found = releases_.find(start.rollout);
  if (found == releases_.end()) return world_.found(start.device + " begins a release that no operator published");
  const auto& release = *found->second;
  const auto& policy = release.manifest.policy;
  const auto name = start.device + " begins " + release.manifest.release;
  if (start.held) world_.found(name + " though its owner holds updates");
  if (policy.consent && !start.consented) world_.found(name + " without its owner's consent");
  if (policy.unmetered_only && start.metered) world_.found(name + " over a metered link");
  const bool admitted = std::ranges::any_of(gates_[start.rollout], [&](const wire::Gate& gate) {
    if (gate.state != wire::GateState::open) return false;
    if (place_of(policy, start.device) < gate.admitted_point) return true;
    for (std::size_t wave = 0; wave <= gate.wave && wave < policy.waves.size(); ++wave) {
      if (std::ranges::count(policy.waves[wave].devices, start.device) > 0) return true;
    }
    return false;
  });
  if (!admitted) world_.found(name + " though no gate of the broker has admitted it");
}

void AdmissionCheck::runs(const std::string& device, const wire::RevisionInfo& running) {
  auto& before = running_[device];
  if (before.manifest == running.manifest) return;
  if (running.sequence < before.sequence) {
    const auto& gates = gates_[before.manifest];
    const bool taken_back =
        std::ranges::any_of(gates, [](const wire::Gate& gate) { return gate.state == wire::GateState::reverted; });
    const auto release = releases_.find(before.manifest);
    const bool allowed = release != releases_.end() && release->second->manifest.policy.revert_allowed;
    if (!taken_back || !allowed) world_.found(device + " falls from " + before.release + " back to " + running.release);
  }
  before = running;
}

}  // namespace instar::sim
