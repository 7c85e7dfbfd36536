// Time, chance and findings of one simulated run: all that happens follows from the seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"
#include "tests/sim/effect_hash.hpp"

namespace instar::sim {

// xoshiro256** (Blackman, Vigna), seeded by splitmix64: the same numbers on any machine.
class Random {
 public:
  explicit Random(std::uint64_t seed);
  [[nodiscard]] std::uint64_t next() noexcept;
  // 0 … bound-1
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
  // low … high
  [[nodiscard]] std::int64_t between(std::int64_t low, std::int64_t high) noexcept {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
  }
  [[nodiscard]] bool chance(std::uint64_t per_ten_thousand) noexcept { return below(10'000) < per_ten_thousand; }
  // Bytes that do not compress.
  [[nodiscard]] Bytes noise(std::size_t size) noexcept;

 private:
  std::uint64_t state_[4];
};

// What must not have happened.
class Findings {
 public:
  void add(std::string what);
  [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
  [[nodiscard]] const std::vector<std::string>& list() const noexcept { return list_; }

 private:
  std::vector<std::string> list_;
};

class World {
 public:
  explicit World(std::uint64_t seed) : random(seed) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Random random;
  Findings findings;
  EffectHash effects;
  bool faults = false;  // while false nothing breaks by itself
  bool verbose = false;

  [[nodiscard]] MonotonicMs now() const noexcept { return now_; }
  [[nodiscard]] WallMs wall() const noexcept { return WallMs{1'760'000'000'000 + now_.value}; }
  // Runs `what` after `ms`; of two at the same time, the one asked for first.
  void after(std::int64_t ms, std::function<void()> what);
  // Until nothing happens before `end`, or something has been found.
  void run_until(MonotonicMs end);
  void note(const std::string& line) const;
  void found(const std::string& what);
  [[nodiscard]] std::uint64_t events() const noexcept { return events_; }

 private:
  MonotonicMs now_;
  std::uint64_t order_ = 0;
  std::uint64_t events_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> queue_;
};

}  // namespace instar::sim
