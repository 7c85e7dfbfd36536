// Numbers of fetch sessions. They rise over restarts, by the persisted count of starts; when one run has used up its
// 65535, that count is moved on. Pure.
#pragma once

#include <cstdint>

namespace instar::revision {

class SessionNumbers {
 public:
  // `boot`: as persisted before this start, which counts.
  explicit SessionNumbers(std::uint32_t boot) noexcept : boot_(boot + 1) {}

  // `boot()` has changed when the number's lower half is 1 again: persist it.
  [[nodiscard]] std::uint32_t next() noexcept {
    if (++count_ == 0) {
      ++boot_;
      count_ = 1;
    }
    return (boot_ & 0xffff) << 16 | count_;
  }
  [[nodiscard]] std::uint32_t boot() const noexcept { return boot_; }
  // Goes on above `boot`: persist it.
  void go_past(std::uint32_t boot) noexcept { boot_ = boot + 1; }

 private:
  std::uint32_t boot_;
  std::uint16_t count_ = 0;
};

}  // namespace instar::revision
