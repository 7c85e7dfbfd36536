#include "core/trust/digest.hpp"
#include "tests/sim/checks.hpp"

namespace instar::sim {

const Release* RunningCheck::release(const ManifestId& rollout) const {
  const auto found = releases_.find(rollout);
  return found == releases_.end() ? nullptr : found->second;
}

void RunningCheck::start(const std::string& device, std::uint32_t revision, const wire::Manifest& manifest,
                         const Disk& disk) {
  const auto name = device + ": revision " + std::to_string(revision);
  const auto* known = release(ManifestId(trust::digest(wire::encode_manifest(manifest))));
  if (known == nullptr) return world_.found(name + " is started by a manifest that no operator signed");
  const auto found = disk.revisions.find(revision);
  if (found == disk.revisions.end()) return world_.found(name + " is started and is not on the disk");
  const auto& staged = found->second;
  if (!staged.staged) return world_.found(name + " is started and was never verified as a whole");
  if (staged.manifest.release != manifest.release)
    return world_.found(name + " holds another release than the one that is started");
}

void RunningCheck::remove(const std::string& device, std::uint32_t revision, std::uint32_t running) {
  if (revision == running)
    world_.found(device + ": revision " + std::to_string(revision) + " is removed while it runs");
}

void RunningCheck::look(const std::string& device, const std::string& phase, std::uint32_t current,
                        std::uint32_t candidate, std::uint32_t running) {
  auto& had_one = had_one_[device];
  if (had_one && current == 0) return world_.found(device + " has no current revision any more");
  had_one = had_one || current != 0;
  if (!had_one || phase == "rolling_back" || phase == "trying") {
    if (running != 0 && running != current && running != candidate)
      world_.found(device + " runs a revision that is neither current nor candidate");
    return;
  }
  if (running != current) {
    world_.found(device + " is " + phase + ", its current revision is " + std::to_string(current) + ", and " +
                 std::to_string(running) + " runs");
  }
}

}  // namespace instar::sim
