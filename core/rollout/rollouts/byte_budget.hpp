// The byte budget of a whole rollout. Bytes are counted in memory; what holds over a crash is the lease: the store says
// beforehand how much may be sent, and a crash costs the rest of that.
#pragma once

#include <cstdint>
#include <optional>

namespace instar::rollout {

// May these bytes go out?
enum class Charge : std::uint8_t {
  ok,
  device_spent,   // the device's byte budget is
  rollout_spent,  // the rollout's is; it is paused with the next tick
  wait,           // the rollout's lease is being extended
  not_offered,    // the rollout does not bring this pack to this device
};

class ByteBudget {
 public:
  // `bytes_max`: 0 = no budget. `leased`: as the store has it; what is left of that is lost to this process.
  ByteBudget(std::uint64_t bytes_max, std::uint64_t leased) noexcept;
  // Counts the bytes if they may go.
  [[nodiscard]] Charge charge(std::uint64_t bytes) noexcept;
  // After these bytes the lease should grow. `leased`: as the store has it, or will have when it has caught up.
  [[nodiscard]] bool is_short(std::uint64_t bytes, std::uint64_t leased) const noexcept;
  // What is to be leased next.
  [[nodiscard]] std::uint64_t next_lease() const noexcept;
  // The lease is durable.
  void lease_saved(std::uint64_t bytes) noexcept;
  // Bytes were refused because of it.
  [[nodiscard]] bool is_spent() const noexcept { return is_spent_; }
  void assert_invariants() const;

 private:
  // What a lease grows by: small against the budget, since a crash costs the rest of it.
  [[nodiscard]] std::uint64_t step() const noexcept;

  std::uint64_t bytes_max_;
  std::uint64_t charged_;
  std::uint64_t leased_;  // durable
  bool is_spent_ = false;
};

}  // namespace instar::rollout
