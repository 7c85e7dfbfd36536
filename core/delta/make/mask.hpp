// An ELF file as it is compared, not as it is: each reference gives way to a hash of what it leads to. Code and tables
// that were moved then look alike again, and a call of one function looks unlike a call of another.
#pragma once

#include <optional>

#include "core/base/bytes.hpp"

namespace instar::delta {

// As many bytes as `file`; nothing when it is no ELF file whose references can be predicted. The outcome depends on
// `file` alone.
[[nodiscard]] std::optional<Bytes> mask_references(ByteView file);

}  // namespace instar::delta
