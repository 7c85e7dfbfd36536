// Compresses one stream of a delta pack. The only file that knows liblzma on the publisher's side.
#pragma once

#include "core/base/bytes.hpp"
#include "core/delta/delta_head.hpp"

namespace instar::delta {

struct Compressed {
  StreamInfo info;
  Bytes bytes;
};
// One raw LZMA stream of `raw` with these settings (sizes are filled in). Same bytes and settings, same outcome for one
// release of liblzma.
[[nodiscard]] Compressed compress(ByteView raw, StreamInfo settings);

}  // namespace instar::delta
