// The time that decisions go by. No single clock of a device is to be believed: its own may stand years behind, but
// never behind a time that somebody has signed. Pure.
#pragma once

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/time.hpp"

namespace instar::revision {

class TrustedTime {
 public:
  // `verified`: the latest signed time that is known.
  explicit TrustedTime(WallMs verified) noexcept : verified_(verified), loaded_(verified) {}

  [[nodiscard]] WallMs at(WallMs wall) const noexcept { return std::max(wall, verified_); }
  // A time from a signed message. True: it is later than all before, and must be remembered.
  bool learn(WallMs signed_time) noexcept {
    if (signed_time <= verified_) return false;
    verified_ = signed_time;
    return true;
  }
  [[nodiscard]] WallMs verified() const noexcept { return verified_; }
  // It never goes back.
  void assert_invariants() const { INSTAR_ASSERT(verified_ >= loaded_); }

 private:
  WallMs verified_;
  WallMs loaded_;
};

}  // namespace instar::revision
