// What came of a rollout, and what is not done to one that has ended.
#include "core/rollout/rollouts/budgets.hpp"
#include "core/rollout/rollouts/rollout.hpp"

namespace instar::rollout {
namespace {

bool is_to_be_taken(RolloutState state) noexcept {
  return state == RolloutState::active || state == RolloutState::paused;
}

}  // namespace

bool Rollout::is_offered() const noexcept {
  return is_to_be_taken(record_.state) && in_force_;
}

bool Rollout::have_all_ended() const noexcept {
  const auto& archived = record_.archived;
  const auto devices = archived.has_value() ? archived->devices : tally_.devices;
  const bool all_ended = archived.has_value() ? archived->all_ended() : tally_.all_ended;
  return devices > 0 && is_open() && is_last_wave() && all_ended;
}

// Once it is, devices that come later, and such as are forgotten, do not wake it. After a retry finish() says when it
// is: those that had failed may not have begun yet.
bool Rollout::is_complete() const noexcept {
  return record_.completed.value != 0 || (!superseded_by_.has_value() && record_.retry_epoch == 0 && have_all_ended());
}

void Rollout::finish(Context& context) {
  const bool goes_on = record_.state == RolloutState::active && record_.completed.value == 0;
  if (!goes_on || superseded_by_.has_value() || !have_all_ended()) return;
  const auto failed = [&](std::optional<WallMs> since) { return context.fleet.failed_since(id_, since); };
  if (record_.retry_epoch > 0 && failed(std::nullopt) > failed(record_.retried)) return;
  record_.completed = context.now.wall;
  note_event("the broker",
             std::string(outcome()) + ": " + std::to_string(tally_.committed) + " of " +
                 counted(tally_.devices, "device") + " committed",
             context);
  save(context.effects);
  context.effects.emplace_back(ShowStatus{id_});
}

std::string_view Rollout::state_name() const noexcept {
  switch (record_.state) {
    case RolloutState::aborted: return "aborted";
    case RolloutState::reverted: return "reverted";
    case RolloutState::paused:
      if (!superseded_by_.has_value()) return "paused";
      break;
    case RolloutState::active: break;
  }
  if (is_complete()) return "complete";
  return superseded_by_.has_value() ? "superseded" : "active";
}

std::string_view Rollout::outcome() const noexcept {
  const auto state = state_name();
  if (state == "active" || state == "paused") return "";
  if (state != "complete") return state;
  // What moves nothing says nothing of what came of it; the sums of an archived one are all that is left.
  auto committed = tally_.committed;
  auto others = tally_.failed;
  for (const auto& wave : tally_.waves) others += wave.left_out;
  if (record_.archived.has_value()) {
    committed = record_.archived->at(wire::Step::committed);
    others = record_.archived->devices - committed;
  }
  if (others == 0) return "complete";
  return committed == 0 ? "nobody took it" : "complete with failures";
}

bool Rollout::set_superseded_by(std::optional<ManifestId> by) {
  if (by == superseded_by_) return false;
  superseded_by_ = by;
  return true;
}

void Rollout::note_superseded(const std::string& release, Context& context) {
  if (state_name() != "superseded" || record_.archived.has_value()) return;
  note_event("the broker", "superseded by release " + release + ": the devices that have not begun are its devices now",
             context);
  save(context.effects);
}

Status Rollout::check_not_over(std::optional<Action> action) const {
  const auto what = "rollout " + id_.short_hex() + " of release " + record_.release;
  if (superseded_by_.has_value() && is_to_be_taken(record_.state)) {
    return fail(Code::refused, what + " has ended (" + std::string(outcome()) + ") and rollout " +
                                   superseded_by_->short_hex() +
                                   " has taken over in its groups, so nothing is changed: steer that one");
  }
  if (action == Action::abort && state_name() == "complete") {
    return fail(Code::refused, what + " has ended (" + std::string(outcome()) +
                                   "), so nothing is changed: nothing of it is under way. Pause it so that no device "
                                   "that comes later begins; publish older content as a new release to go back");
  }
  return {};
}

}  // namespace instar::rollout
