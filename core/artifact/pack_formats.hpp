// Formats of packs that this version makes and takes.
#pragma once

#include "core/artifact/pack.hpp"

namespace instar::artifact {

// Deltas have a second format, with files of blocks (docs/formats/blocks.md), a third one, with streams in such files,
// and a fourth one, with references of 32-bit Arm (docs/formats/delta.md); full and dedupe packs have one.
inline constexpr std::uint8_t kDeltaFormatNewest = 4;

[[nodiscard]] constexpr bool is_known_format(PackKind kind, std::uint8_t format) noexcept {
  return format >= kPackFormat && format <= (kind == PackKind::delta ? kDeltaFormatNewest : kPackFormat);
}

}  // namespace instar::artifact
