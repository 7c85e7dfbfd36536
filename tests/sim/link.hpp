// A device's way to the broker and back: a delay, a rate, and the end of everything under way when it drops.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

#include "tests/sim/world.hpp"

namespace instar::sim {

class Link {
 public:
  explicit Link(World& world)
      : world_(world), latency_ms_(world.random.between(2, 600)), bytes_per_ms_(world.random.between(8, 4'000)) {}

  [[nodiscard]] bool is_up() const noexcept { return up_; }
  void raise() {
    up_ = true;
    ++epoch_;
    down_free_ = up_free_ = world_.now();
  }
  void drop() {
    up_ = false;
    ++epoch_;
  }
  // In order; `arrive` is not called when the link drops before.
  void send_down(std::size_t bytes, std::function<void()> arrive) { send(down_free_, bytes, std::move(arrive)); }
  void send_up(std::size_t bytes, std::function<void()> arrive) { send(up_free_, bytes, std::move(arrive)); }

 private:
  void send(MonotonicMs& free, std::size_t bytes, std::function<void()> arrive) {
    if (!up_) return;
    free = std::max(free, world_.now()) + static_cast<std::int64_t>(bytes) / bytes_per_ms_;
    world_.after(free - world_.now() + latency_ms_, [this, epoch = epoch_, arrive = std::move(arrive)] {
      if (epoch == epoch_) arrive();
    });
  }

  World& world_;
  std::int64_t latency_ms_;
  std::int64_t bytes_per_ms_;
  bool up_ = false;
  std::uint64_t epoch_ = 0;
  MonotonicMs down_free_;
  MonotonicMs up_free_;
};

}  // namespace instar::sim
