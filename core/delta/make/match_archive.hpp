// Compares two archives by what is in them: their inner files as they unpack, with what stands between them. A device
// makes the archive again as a file of blocks. docs/formats/blocks.md
#pragma once

#include <optional>

#include "core/base/bytes.hpp"
#include "core/delta/make/maker.hpp"

namespace instar::delta {

// nullopt when one of them is no archive that is read, when the inner files that changed do not come out bit for bit,
// or when there is next to nothing to gain. The caller sets control.base and control.base_path. Any thread. Memory: the
// contents of both, and 12 bytes for each byte of a part (kImageJoinedBytesMax, or an inner file that is larger).
[[nodiscard]] std::optional<FileDelta> match_archive(ByteView old, ByteView now);

}  // namespace instar::delta
