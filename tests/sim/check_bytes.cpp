#include "tests/sim/rollout_checks.hpp"

namespace instar::sim {

void ByteCheck::published(const Release& release) {
  releases_[release.rollout] = &release;
  for (const auto& [id, pack] : release.packs) by_pack_.try_emplace(id, &release);
}

void ByteCheck::sent(const std::string& device, const PackId& pack, std::uint32_t bytes) {
  static_cast<void>(device);
  const auto found = by_pack_.find(pack);
  if (found == by_pack_.end()) return world_.found("bytes of a pack are sent that nobody uploaded");
  const auto& release = *found->second;
  auto& sum = sent_[release.rollout];
  sum += bytes;
  const auto budget = release.manifest.policy.rollout_bytes_max;
  if (budget != 0 && sum > budget) {
    world_.found(release.manifest.release + ": " + std::to_string(sum) + " bytes are sent, its budget is " +
                 std::to_string(budget));
  }
}

void ByteCheck::report(const wire::Report& report) {
  const auto found = releases_.find(report.rollout);
  if (found == releases_.end() || report.code != Code::ok) return;
  const auto budget = found->second->manifest.policy.device_bytes_max;
  if (report.step < wire::Step::staging || budget == 0 || report.bytes_planned <= budget) return;
  world_.found(report.device.str() + " takes " + std::to_string(report.bytes_planned) + " bytes of " +
               found->second->manifest.release + ", its budget is " + std::to_string(budget));
}

}  // namespace instar::sim
