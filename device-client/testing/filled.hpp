// Hashes of tests.
#pragma once

#include <cstdint>

namespace instar::device {

// The hash, of either kind, that has this byte everywhere.
template <typename Hash>
Hash filled(std::uint8_t byte) {
  Hash made;
  made.bytes.fill(byte);
  return made;
}

}  // namespace instar::device
