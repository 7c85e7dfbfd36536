#include "core/rollout/devices/unsaved_bytes.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

namespace instar::rollout {

void UnsavedBytes::count(const DeviceId& device, const std::optional<ManifestId>& rollout) {
  const auto due = due_.find(device);
  auto& rollouts = due == due_.end() ? with_new_[device] : due->second;
  if (!rollout.has_value()) return;
  if (std::ranges::find(rollouts, *rollout) == rollouts.end()) rollouts.push_back(*rollout);
}

std::vector<ManifestId> UnsavedBytes::take(const DeviceId& device) {
  for (auto* unsaved : {&due_, &with_new_}) {
    auto entry = unsaved->extract(device);
    if (!entry.empty()) return std::move(entry.mapped());
  }
  return {};
}

void UnsavedBytes::settle(const DeviceId& device, const ManifestId& rollout) {
  for (auto* unsaved : {&due_, &with_new_}) {
    if (const auto entry = unsaved->find(device); entry != unsaved->end()) std::erase(entry->second, rollout);
  }
}

void UnsavedBytes::forget(const DeviceId& device) {
  due_.erase(device);
  with_new_.erase(device);
}

std::optional<DeviceId> UnsavedBytes::next() {
  if (due_.empty()) due_.swap(with_new_);
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first;
}

void UnsavedBytes::assert_invariants() const {
  for (const auto& [device, rollouts] : due_) INSTAR_ASSERT(!with_new_.contains(device));
  for (const auto* unsaved : {&due_, &with_new_}) {
    for (const auto& [device, rollouts] : *unsaved) {
      for (const auto& rollout : rollouts) INSTAR_ASSERT(std::ranges::count(rollouts, rollout) == 1);
    }
  }
}

}  // namespace instar::rollout
