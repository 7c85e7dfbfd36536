// A changed form of an ELF file for comparisons: each reference is replaced by a hash of its target. So code and tables
// that were moved look the same again, and a call of one function differs from a call of another.
#pragma once

#include <optional>

#include "core/base/bytes.hpp"

namespace instar::delta {

// Has as many bytes as `file`. nullopt when it is no ELF file whose references can be predicted. The result depends
// only on `file`.
[[nodiscard]] std::optional<Bytes> mask_references(ByteView file);

}  // namespace instar::delta
