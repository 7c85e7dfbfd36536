#include "broker-plugin/status_board.hpp"

#include <algorithm>
#include <iterator>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {

bool StatusBoard::may_publish(const ManifestId& rollout, MonotonicMs now) const {
  const auto last = published_.find(rollout);
  return last == published_.end() || now - last->second >= limits::kStatusIntervalMs;
}

bool StatusBoard::changed(const ManifestId& rollout, MonotonicMs now) {
  if (may_publish(rollout, now)) return true;
  due_.insert(rollout);
  return false;
}

std::vector<ManifestId> StatusBoard::due(MonotonicMs now) const {
  std::vector<ManifestId> out;
  std::copy_if(due_.begin(), due_.end(), std::back_inserter(out),
               [&](const ManifestId& rollout) { return may_publish(rollout, now); });
  return out;
}

void StatusBoard::published(const ManifestId& rollout, MonotonicMs now) {
  due_.erase(rollout);
  published_[rollout] = now;
}

void StatusBoard::forget(const ManifestId& rollout) {
  due_.erase(rollout);
  published_.erase(rollout);
}

void StatusBoard::forget_last(const ManifestId& rollout) {
  published_.erase(rollout);
}

void StatusBoard::assert_invariants(MonotonicMs now) const {
  for (const auto& [rollout, last] : published_) INSTAR_ASSERT(last <= now);
}

}  // namespace instar::broker
