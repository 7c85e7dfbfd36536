// Finds the parts of an old file in a new one: approximate matches in the way of bsdiff (C. Percival, "Naive
// differences of executable code", 2003) with a suffix array (Y. Mori's divsufsort).
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/delta/operation.hpp"

namespace instar::delta {

// Operations that rebuild `now` from `old`: their copies and extras add up to now.size(). A copy need not be exact. Any
// thread. Memory: 4 bytes for each byte of `old`, and 256 KiB.
[[nodiscard]] std::vector<Operation> match(ByteView old, ByteView now);

}  // namespace instar::delta
