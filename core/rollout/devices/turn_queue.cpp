#include "core/rollout/devices/turn_queue.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

namespace instar::rollout {
namespace {

bool is_under_way(const MemberRecord& record) noexcept {
  const auto standing = standing_of(record);
  return record.granted != 0 && record.granted == record.attempt && record.asks == 0 && !has_ended(standing) &&
         standing != Standing::retrying;
}

}  // namespace

void TurnQueue::update(const DeviceId& device, const MemberRecord* before, const MemberRecord& after) {
  if (before != nullptr && before->asks != after.asks) asking_.erase(before->asks);
  if (after.asks != 0) asking_[after.asks] = device;
  if (is_under_way(after)) {
    in_flight_.insert(device);
  } else {
    in_flight_.erase(device);
  }
}

void TurnQueue::remove(const DeviceId& device, const MemberRecord& record) {
  asking_.erase(record.asks);
  in_flight_.erase(device);
}

void TurnQueue::clear() {
  asking_.clear();
  in_flight_.clear();
  to_repeat_.clear();
}

void TurnQueue::repeat(const DeviceId& device) {
  if (std::ranges::find(to_repeat_, device) == to_repeat_.end()) to_repeat_.push_back(device);
}

void TurnQueue::drop_repeat() {
  INSTAR_ASSERT(!to_repeat_.empty());
  to_repeat_.pop_front();
}

std::optional<DeviceId> TurnQueue::first_to_repeat() const {
  if (to_repeat_.empty()) return std::nullopt;
  return to_repeat_.front();
}

std::optional<DeviceId> TurnQueue::first_asking() const {
  if (asking_.empty()) return std::nullopt;
  return asking_.begin()->second;
}

std::optional<DeviceId> TurnQueue::first_asking(const std::function<bool(const DeviceId&)>& may) const {
  for (const auto& [place, device] : asking_) {
    if (may(device)) return device;
  }
  return std::nullopt;
}

bool TurnQueue::asks(const DeviceId& device, std::uint64_t place) const {
  const auto found = asking_.find(place);
  return found != asking_.end() && found->second == device;
}

void TurnQueue::assert_invariants() const {
  std::set<DeviceId> seen;
  for (const auto& [place, device] : asking_) {
    INSTAR_ASSERT(place != 0 && seen.insert(device).second);
    INSTAR_ASSERT(!in_flight_.contains(device));
  }
  for (const auto& device : to_repeat_) INSTAR_ASSERT(std::ranges::count(to_repeat_, device) == 1);
}

}  // namespace instar::rollout
