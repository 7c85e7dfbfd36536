#include "core/delta/arm_modes.hpp"

#include <algorithm>

namespace instar::delta {

bool ArmModes::is_thumb(std::uint32_t offset) const noexcept {
  return (std::upper_bound(switches_.begin(), switches_.end(), offset) - switches_.begin()) % 2 != 0;
}

}  // namespace instar::delta
