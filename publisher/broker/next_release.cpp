#include "publisher/broker/next_release.hpp"

#include <algorithm>

namespace instar::publisher {
namespace {

bool is_out(const RolloutStatus& rollout) {
  return rollout.state != "aborted" && rollout.state != "reverted" && rollout.state != "refused" &&
         rollout.state != "superseded";
}

bool reaches(const RolloutStatus& rollout, const std::vector<GroupPath>& groups) {
  return std::ranges::any_of(groups, [&](const GroupPath& own) {
    const auto heard = own.with_parents();
    return std::ranges::any_of(heard, [&](const GroupPath& group) {
      return std::ranges::find(rollout.groups, group.str()) != rollout.groups.end();
    });
  });
}

std::string named(const RolloutStatus& rollout) {
  return rollout.release + " (sequence " + std::to_string(rollout.sequence) + ")";
}

}  // namespace

NextRelease next_release(const KnownDevice& device, const std::vector<GroupPath>& groups,
                         const std::vector<RolloutStatus>& rollouts) {
  const auto& description = device.description;
  // The device says its highest sequence when it connects; what it has committed since is in its reports.
  const auto obeyed = std::max(description.highest_sequence, description.running ? description.running->sequence : 0);
  const auto stays = description.running ? "stays with " + description.running->release : std::string("runs nothing");
  const RolloutStatus* best = nullptr;
  for (const auto& rollout : rollouts) {
    if (rollout.product != description.product || !is_out(rollout) || !reaches(rollout, groups)) continue;
    if (best == nullptr || rollout.sequence > best->sequence) best = &rollout;
  }
  if (best == nullptr)
    return {"", false, "no release of product " + description.product + " is out for these groups: it " + stays};
  const bool runs = description.running && description.running->sequence == best->sequence &&
                    description.running->release == best->release;
  if (runs) return {best->release, true, "it runs " + best->release + ", which is the newest release of these groups"};
  if (best->sequence <= obeyed)
    return {best->release, false,
            "it " + stays + ": " + named(*best) + " of these groups is not newer than what it has obeyed (sequence " +
                std::to_string(obeyed) + "); publish that content again, for these groups"};
  const auto held = best->state == "paused" ? ", whose rollout is paused" : std::string();
  return {best->release, true, "it takes " + named(*best) + held + " as soon as the rollout lets it"};
}

}  // namespace instar::publisher
