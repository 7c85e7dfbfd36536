// Which sequence a release may have, and which is best for the next one. Sequences rise for each product and group: a
// key that is limited to some groups cannot use the numbers of the others up (docs/decisions/0012).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/rollout/exchange/fleet.hpp"

namespace instar::rollout {

class Sequences {
 public:
  void add(const ManifestId& rollout, const RolloutRecord& record);
  void remove(const ManifestId& rollout);
  // A rollout whose keys are not in force any more sets no bar.
  void set_in_force(const ManifestId& rollout, bool in_force);

  // Of the product's rollouts for the group and for those above it. 0: there is none.
  [[nodiscard]] std::uint64_t highest(std::string_view product, const GroupPath& group) const;
  // Whether a new release may have its sequence, for each of its groups. Errors: stale (not above the highest), refused
  // (more than limits::kSequenceStepMax above the highest that the group's rollouts and devices have).
  // `claims` is asked only when the rollouts alone do not answer that.
  [[nodiscard]] Status check(const wire::Manifest& manifest,
                             const std::function<std::vector<SequenceClaim>()>& claims) const;

  struct Next {
    std::uint64_t sequence = 1;
    std::uint64_t devices = 0;  // that the release is for, as far as they are known
    std::uint64_t takers = 0;   // those of them that take a release with that sequence
  };
  // Above all rollouts for the groups and above them; of those numbers the one that the most devices take, and of these
  // the lowest. So no device that claims a number of its own, and no limited key, leads the others astray.
  [[nodiscard]] Next next(std::string_view product, const std::vector<GroupPath>& groups,
                          const std::vector<SequenceClaim>& claims) const;
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::string product;
    std::uint64_t sequence = 0;
    std::vector<GroupPath> groups;
    bool in_force = true;
  };
  std::map<ManifestId, Entry> entries_;
};

}  // namespace instar::rollout
