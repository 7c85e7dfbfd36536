// Compresses one stream of a delta pack. In the publisher only this file uses liblzma.
#pragma once

#include "core/base/bytes.hpp"
#include "core/delta/delta_head.hpp"

namespace instar::delta {

struct Compressed {
  StreamInfo info;
  Bytes bytes;
};
// Makes one raw LZMA stream of `raw` with these settings (sizes are filled in). With one release of liblzma, the same
// bytes and settings give the same stream.
[[nodiscard]] Compressed compress(ByteView raw, StreamInfo settings);

}  // namespace instar::delta
