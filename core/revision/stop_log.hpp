// How often containers of the committed revision have stopped by themselves: what the device calls degraded, and when
// it falls back.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/time.hpp"

namespace instar::revision {

// Forgets when the process ends. One thread.
class StopLog {
 public:
  // Stops are remembered for so long.
  static constexpr std::int64_t kMemoryMs = 3'600'000;
  // So many within that time, and the container counts as degraded.
  static constexpr std::size_t kDegradedStops = 3;

  void stopped(const std::string& container, MonotonicMs now);
  // Another revision is current.
  void clear() { containers_.clear(); }

  // One line a degraded container, for people.
  [[nodiscard]] std::vector<std::string> degraded(MonotonicMs now) const;
  // Stops of the container that stopped most often; its name, and the count.
  [[nodiscard]] std::pair<std::string, std::size_t> worst(MonotonicMs now) const;
  // When the next stop is forgotten.
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;
  void forget(MonotonicMs now);
  // Each container that is known has stopped, in this order.
  void assert_invariants() const;

 private:
  using Stops = std::deque<MonotonicMs>;  // the last limits::kStopsKeptMax
  [[nodiscard]] static std::size_t count(const Stops& stops, MonotonicMs now);
  std::map<std::string, Stops> containers_;
};

}  // namespace instar::revision
