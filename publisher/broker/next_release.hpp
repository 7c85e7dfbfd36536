// Which release a device will run in given groups, and what keeps one from it.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "publisher/broker/device_view.hpp"
#include "publisher/broker/rollout_view.hpp"

namespace instar::publisher {

struct NextRelease {
  std::string release;    // the newest one that is out for the groups; empty: none is
  bool is_taken = false;  // it runs, or the device will take it once its rollout lets it
  std::string text;       // as a clause: "it takes 2.4 when its rollout lets it"
};

// `device`: as the broker knows it; `groups`: those that it is in now. `rollouts`: all that the broker keeps.
[[nodiscard]] NextRelease next_release(const KnownDevice& device, const std::vector<GroupPath>& groups,
                                       const std::vector<RolloutStatus>& rollouts);

}  // namespace instar::publisher
