#include "core/revision/stop_log.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::revision {

void StopLog::stopped(const std::string& container, MonotonicMs now) {
  auto& stops = containers_[container];
  stops.push_back(now);
  if (stops.size() > limits::kStopsKeptMax) stops.pop_front();
}

std::size_t StopLog::count(const Stops& stops, MonotonicMs now) {
  return static_cast<std::size_t>(std::ranges::count_if(stops, [&](MonotonicMs at) { return now - at < kMemoryMs; }));
}

// Without the count: the text changes when a container becomes degraded, and not with each stop after that.
std::vector<std::string> StopLog::degraded(MonotonicMs now) const {
  std::vector<std::string> lines;
  for (const auto& [container, stops] : containers_) {
    if (count(stops, now) < kDegradedStops) continue;
    lines.push_back("container '" + container + "' stops again and again: " + std::to_string(kDegradedStops) +
                    " times or more in an hour");
  }
  return lines;
}

std::pair<std::string, std::size_t> StopLog::worst(MonotonicMs now) const {
  std::pair<std::string, std::size_t> worst;
  for (const auto& [container, stops] : containers_) {
    if (const auto counted = count(stops, now); counted > worst.second) worst = {container, counted};
  }
  return worst;
}

std::optional<MonotonicMs> StopLog::next_deadline() const {
  std::optional<MonotonicMs> earliest;
  for (const auto& [container, stops] : containers_) {
    if (!earliest || stops.front() + kMemoryMs < *earliest) earliest = stops.front() + kMemoryMs;
  }
  return earliest;
}

void StopLog::forget(MonotonicMs now) {
  for (auto& [container, stops] : containers_)
    std::erase_if(stops, [&](MonotonicMs at) { return now - at >= kMemoryMs; });
  std::erase_if(containers_, [](const auto& one) { return one.second.empty(); });
}

void StopLog::assert_invariants() const {
  for (const auto& [container, stops] : containers_) {
    INSTAR_ASSERT(!stops.empty() && stops.size() <= limits::kStopsKeptMax);
    INSTAR_ASSERT(std::ranges::is_sorted(stops));
  }
}

}  // namespace instar::revision
