// What a file of a delta pack is made of.
#pragma once

#include <cstdint>

namespace instar::delta {

// Copy `copy_bytes` from `old_start` of the base, each byte corrected by one of the difference stream; then take
// `extra_bytes` from the extra stream.
struct Operation {
  std::uint32_t old_start = 0;
  std::uint32_t copy_bytes = 0;
  std::uint32_t extra_bytes = 0;
  friend bool operator==(const Operation&, const Operation&) = default;
};

}  // namespace instar::delta
