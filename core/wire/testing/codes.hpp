// Short names for the long tables of what is refused, and how.
#pragma once

#include "core/base/result.hpp"

namespace instar::wire {

inline constexpr Code kBad = Code::malformed;
inline constexpr Code kLarge = Code::too_large;
inline constexpr Code kNewer = Code::unsupported;

}  // namespace instar::wire
