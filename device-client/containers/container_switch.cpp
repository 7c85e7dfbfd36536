#include "device-client/containers/container_switch.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/assert.hpp"

namespace instar::device {

void ContainerSwitch::take_states(const std::vector<ContainerState>& states) {
  INSTAR_ASSERT(!has_states_);
  std::vector<std::pair<std::uint32_t, std::string>> stops;  // by start order
  std::set<std::string> kept;
  for (const auto& state : states) {
    const auto plan = std::ranges::find(wanted_, state.name, &ContainerPlan::lxc_name);
    const bool is_right = plan != wanted_.end() && state.record && state.record->fingerprint == plan->fingerprint &&
                          !restarted_.contains(state.name);
    if (state.runs && is_right)
      kept.insert(state.name);
    else if (!state.is_stopped || plan == wanted_.end())
      stops.emplace_back(state.record ? state.record->start_order : 0, state.name);
  }
  std::ranges::stable_sort(stops);
  for (auto stop = stops.rbegin(); stop != stops.rend(); ++stop) stops_.push_back(std::move(stop->second));
  for (const auto& plan : wanted_)
    if (!kept.contains(plan.lxc_name)) starts_.push_back(plan);
  has_states_ = true;
}

ContainerSwitch::Taken ContainerSwitch::take_change(const ContainerChange& change) {
  up_at_ms_ = change.at_ms + change.took_ms;
  if (!stops_.empty() && stops_.front() == change.name) {
    if (change.ran && !down_at_ms_) down_at_ms_ = change.at_ms;
    stops_.erase(stops_.begin());
    return {true, std::nullopt};
  }
  if (starts_.empty() || starts_.front().lxc_name != change.name) return {};
  Taken taken{false, std::move(starts_.front())};
  starts_.erase(starts_.begin());
  return taken;
}

ContainerSwitch::Failure ContainerSwitch::failed(Error error) {
  if (stops_.empty() && !starts_.empty()) return start_failed(starts_.front().lxc_name, std::move(error));
  if (!stops_.empty()) error = with_context(std::move(error), "stopping container " + stops_.front());
  stops_.clear();
  starts_.clear();
  return {std::move(error), ""};
}

ContainerSwitch::Failure ContainerSwitch::start_failed(const std::string& name, Error error) {
  const auto plan = std::ranges::find(starts_, name, &ContainerPlan::lxc_name);
  INSTAR_ASSERT(plan != starts_.end());
  std::string container = std::move(plan->container);
  starts_.erase(plan);
  error = with_context(std::move(error), "starting container " + container);
  return {std::move(error), std::move(container)};
}

std::uint32_t ContainerSwitch::downtime_ms() const noexcept {
  return down_at_ms_ ? clamp_ms(up_at_ms_ - *down_at_ms_) : 0;
}

void ContainerSwitch::assert_invariants() const {
  INSTAR_ASSERT(has_states_ || (stops_.empty() && starts_.empty() && !down_at_ms_));
  auto next = wanted_.begin();
  for (const auto& plan : starts_) {
    next = std::find_if(next, wanted_.end(), [&](const auto& each) { return each.lxc_name == plan.lxc_name; });
    INSTAR_ASSERT(next != wanted_.end());
    ++next;
  }
}

}  // namespace instar::device
