#include "core/rollout/rollouts/byte_budget.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

namespace instar::rollout {

ByteBudget::ByteBudget(std::uint64_t bytes_max, std::uint64_t leased) noexcept
    : bytes_max_(bytes_max), charged_(leased), leased_(leased) {}

Charge ByteBudget::charge(std::uint64_t bytes) noexcept {
  if (bytes_max_ != 0) {
    if (charged_ + bytes > bytes_max_) {
      is_spent_ = true;
      return Charge::rollout_spent;
    }
    if (charged_ + bytes > leased_) return Charge::wait;
  }
  charged_ += bytes;
  return Charge::ok;
}

bool ByteBudget::is_short(std::uint64_t bytes, std::uint64_t leased) const noexcept {
  return bytes_max_ != 0 && charged_ + bytes <= bytes_max_ && charged_ + bytes + step() / 2 > leased;
}

std::uint64_t ByteBudget::next_lease() const noexcept {
  return std::min(bytes_max_, charged_ + step());
}

void ByteBudget::lease_saved(std::uint64_t bytes) noexcept {
  leased_ = std::max(leased_, bytes);
}

std::uint64_t ByteBudget::step() const noexcept {
  return std::clamp<std::uint64_t>(bytes_max_ / 256, 256 * 1024, std::uint64_t{64} * 1024 * 1024);
}

void ByteBudget::assert_invariants() const {
  if (bytes_max_ == 0) {
    INSTAR_ASSERT(!is_spent_);
    return;
  }
  INSTAR_ASSERT(charged_ <= leased_ && leased_ <= bytes_max_);
}

}  // namespace instar::rollout
