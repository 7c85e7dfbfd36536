#include "core/revision/transitions.hpp"

namespace instar::revision {

std::string_view trigger_name(Trigger trigger) noexcept {
  switch (trigger) {
    case Trigger::admitted: return "admitted";
    case Trigger::superseded: return "superseded";
    case Trigger::aborted: return "aborted";
    case Trigger::all_durable: return "all_durable";
    case Trigger::more_wanted: return "more_wanted";
    case Trigger::staged: return "staged";
    case Trigger::attempt_failed: return "attempt_failed";
    case Trigger::attempts_spent: return "attempts_spent";
    case Trigger::retry_due: return "retry_due";
    case Trigger::verdict_passed: return "verdict_passed";
    case Trigger::verdict_failed: return "verdict_failed";
    case Trigger::starts_spent: return "starts_spent";
    case Trigger::back_and_waits: return "back_and_waits";
    case Trigger::back_for_good: return "back_for_good";
    case Trigger::cleaned: return "cleaned";
    case Trigger::taken_back: return "taken_back";
    case Trigger::overtaken: return "overtaken";
    case Trigger::worn_out: return "worn_out";
  }
  return "unknown";
}

std::string_view owner_name(Owner owner) noexcept {
  return owner == Owner::device ? "device" : "broker";
}

std::string_view restart_action_name(RestartAction action) noexcept {
  switch (action) {
    case RestartAction::run_current: return "run_current";
    case RestartAction::wait_again: return "wait_again";
    case RestartAction::reopen_staging: return "reopen_staging";
    case RestartAction::try_again: return "try_again";
    case RestartAction::finish_commit: return "finish_commit";
    case RestartAction::switch_back: return "switch_back";
  }
  return "unknown";
}

}  // namespace instar::revision
