// What came of a rollout, in words and with the command that comes next.
#pragma once

#include <string>

#include "publisher/broker/rollout_view.hpp"

namespace instar::publisher {

// The state, or what came of a rollout that has ended: "complete with failures".
[[nodiscard]] std::string state_text(const RolloutStatus& status);
// "2 of 3 devices have committed, 1 rolled back".
[[nodiscard]] std::string results_text(const RolloutStatus& status);
// The last words on a rollout that is over, a line each: what came of it, the most frequent reason, what to type next.
[[nodiscard]] std::string ending_text(const RolloutStatus& status);

}  // namespace instar::publisher
