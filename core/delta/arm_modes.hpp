// Where in a program for 32-bit Arm the code is A32, and where it is Thumb. The file itself does not say it once its
// symbols are stripped, so a delta does.
#pragma once

#include <cstdint>
#include <vector>

namespace instar::delta {

class ArmModes {
 public:
  // `switches`: offsets in the file, ascending. Code is A32 up to the first one, then Thumb up to the next, and so on.
  explicit ArmModes(std::vector<std::uint32_t> switches = {}) : switches_(std::move(switches)) {}

  [[nodiscard]] bool is_thumb(std::uint32_t offset) const noexcept;
  [[nodiscard]] const std::vector<std::uint32_t>& switches() const noexcept { return switches_; }
  friend bool operator==(const ArmModes&, const ArmModes&) = default;

 private:
  std::vector<std::uint32_t> switches_;
};

}  // namespace instar::delta
