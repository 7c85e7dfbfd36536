// The phases of a revision and what moves it from one to the next, as data: the machine asks this table for every move,
// and docs/states.md is made from it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/revision/device_state.hpp"

namespace instar::revision {

enum class Trigger : std::uint8_t {
  admitted,        // a gate lets this device take the highest manifest on offer
  superseded,      // a gate lets it take a newer one
  aborted,         // the gate of the candidate's rollout says so
  all_durable,     // no chunk is wanted any more
  more_wanted,     // the stager found that something is missing after all
  staged,          // the whole tree has been verified
  attempt_failed,  // fetching or staging failed, attempts are left
  attempts_spent,  // fetching or staging failed for the last time
  retry_due,       // the wait between attempts is over, and the gate is open
  verdict_passed,  // the new containers stayed well
  verdict_failed,  // they did not start, or did not stay well
  starts_spent,    // the device was started too often while trying
  back_and_waits,  // the old revision runs again, attempts are left
  back_for_good,   // the old revision runs again, that was the last attempt
  cleaned,         // what the new revision made needless is gone
  taken_back,      // the gate takes the release that runs back
  overtaken,       // a newer release is admitted, and may have to wait itself
  worn_out,        // containers of the committed release stop again and again
};
inline constexpr std::size_t kTriggerCount = 18;
[[nodiscard]] std::string_view trigger_name(Trigger trigger) noexcept;

// Who makes the move.
enum class Owner : std::uint8_t { device, broker };
[[nodiscard]] std::string_view owner_name(Owner owner) noexcept;

struct Transition {
  Phase from;
  Trigger trigger;
  Phase to;
  Owner owner;
};

inline constexpr std::array kTransitions = {
    Transition{Phase::idle, Trigger::admitted, Phase::fetching, Owner::broker},
    Transition{Phase::idle, Trigger::taken_back, Phase::rolling_back, Owner::broker},
    Transition{Phase::idle, Trigger::worn_out, Phase::rolling_back, Owner::device},
    Transition{Phase::waiting, Trigger::overtaken, Phase::idle, Owner::broker},
    Transition{Phase::waiting, Trigger::aborted, Phase::idle, Owner::broker},
    Transition{Phase::waiting, Trigger::retry_due, Phase::fetching, Owner::device},
    Transition{Phase::fetching, Trigger::superseded, Phase::fetching, Owner::broker},
    Transition{Phase::fetching, Trigger::aborted, Phase::idle, Owner::broker},
    Transition{Phase::fetching, Trigger::all_durable, Phase::staging, Owner::device},
    Transition{Phase::fetching, Trigger::staged, Phase::trying, Owner::device},
    Transition{Phase::fetching, Trigger::attempt_failed, Phase::waiting, Owner::device},
    Transition{Phase::fetching, Trigger::attempts_spent, Phase::idle, Owner::device},
    Transition{Phase::staging, Trigger::superseded, Phase::fetching, Owner::broker},
    Transition{Phase::staging, Trigger::aborted, Phase::idle, Owner::broker},
    Transition{Phase::staging, Trigger::more_wanted, Phase::fetching, Owner::device},
    Transition{Phase::staging, Trigger::staged, Phase::trying, Owner::device},
    Transition{Phase::staging, Trigger::attempt_failed, Phase::waiting, Owner::device},
    Transition{Phase::staging, Trigger::attempts_spent, Phase::idle, Owner::device},
    Transition{Phase::trying, Trigger::verdict_passed, Phase::committing, Owner::device},
    Transition{Phase::trying, Trigger::verdict_failed, Phase::rolling_back, Owner::device},
    Transition{Phase::trying, Trigger::starts_spent, Phase::rolling_back, Owner::device},
    Transition{Phase::committing, Trigger::cleaned, Phase::idle, Owner::device},
    Transition{Phase::rolling_back, Trigger::back_and_waits, Phase::waiting, Owner::device},
    Transition{Phase::rolling_back, Trigger::back_for_good, Phase::idle, Owner::device},
};

[[nodiscard]] constexpr std::optional<Phase> next_phase(Phase from, Trigger trigger) noexcept {
  for (const auto& transition : kTransitions) {
    if (transition.from == from && transition.trigger == trigger) return transition.to;
  }
  return std::nullopt;
}

// What a process that finds a phase in the state file does first.
enum class RestartAction : std::uint8_t {
  run_current,     // make sure that the current revision runs
  wait_again,      // the same, and the wait between attempts starts again
  reopen_staging,  // the same, and go on with what is not yet durable
  try_again,       // count the start and go on trying; go back when the starts are spent
  finish_commit,   // the switch has happened: point at it and remove what is needless
  switch_back,     // start the old revision (again)
};
[[nodiscard]] std::string_view restart_action_name(RestartAction action) noexcept;

struct Restart {
  Phase phase;
  RestartAction action;
};

inline constexpr std::array kRestarts = {
    Restart{Phase::idle, RestartAction::run_current},         Restart{Phase::waiting, RestartAction::wait_again},
    Restart{Phase::fetching, RestartAction::reopen_staging},  Restart{Phase::staging, RestartAction::reopen_staging},
    Restart{Phase::trying, RestartAction::try_again},         Restart{Phase::committing, RestartAction::finish_commit},
    Restart{Phase::rolling_back, RestartAction::switch_back},
};

[[nodiscard]] constexpr bool restarts_complete() noexcept {
  if (kRestarts.size() != kPhaseCount) return false;
  for (std::size_t i = 0; i < kRestarts.size(); ++i) {
    if (kRestarts[i].phase != static_cast<Phase>(i)) return false;
  }
  return true;
}
static_assert(restarts_complete(), "every persisted phase has exactly one restart action, in order");

[[nodiscard]] constexpr RestartAction restart_action(Phase phase) noexcept {
  return kRestarts[static_cast<std::size_t>(phase)].action;
}

}  // namespace instar::revision
