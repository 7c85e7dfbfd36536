#include "publisher/broker/rollout_outcome.hpp"

#include <utility>

#include "publisher/console/text.hpp"

namespace instar::publisher {

std::string state_text(const RolloutStatus& status) {
  return status.state == "complete" && !status.outcome.empty() ? status.outcome : status.state;
}

std::string results_text(const RolloutStatus& status) {
  const auto committed = status.count("committed");
  std::string out = std::to_string(committed) + " of " + count_of(status.devices, "device") +
                    (committed == 1 ? " has committed" : " have committed");
  for (const auto& [step, words] :
       {std::pair{"rolled_back", "rolled back"}, {"failed", "failed"}, {"refused", "refused it"}}) {
    if (const auto count = status.count(step); count > 0) out += ", " + std::to_string(count) + " " + words;
  }
  return out;
}

std::string ending_text(const RolloutStatus& status) {
  std::string out = "rollout " + status.rollout + ": " + state_text(status);
  if (!status.superseded_by.empty() && status.state == "superseded") out += " by rollout " + status.superseded_by;
  if (!status.cause.empty()) out += " (" + status.cause + ")";
  out += "; " + results_text(status) + "\n";
  if (!status.reasons.empty()) {
    const auto& most = status.reasons.front();
    out += "reason: " + (most.text.empty() ? most.code : most.code + ": " + most.text) + " (" +
           count_of(most.count, "device") + (status.reasons.size() > 1 ? ", the most frequent" : "") + ")\n";
  }
  for (const auto& command : next_commands(status)) out += "next: " + command + "\n";
  return out;
}

}  // namespace instar::publisher
