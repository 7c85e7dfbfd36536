// Keys and answers of the tests of this folder.
#pragma once

#include <cstdint>

#include "core/base/result.hpp"
#include "core/trust/keys.hpp"

namespace instar::trust {

// The key whose seed is that byte, 32 times.
inline SecretKey key_of(int fill) {
  return SecretKey::from_seed(Bytes(32, static_cast<std::uint8_t>(fill))).value();
}

inline Code code_of(const Status& status) {
  return status.has_value() ? Code::ok : status.error().code;
}

}  // namespace instar::trust
