#include "core/delta/make/lzma_encoder.hpp"

#include <lzma.h>

#include <array>

#include "core/base/assert.hpp"

namespace instar::delta {

Compressed compress(ByteView raw, StreamInfo settings) {
  Compressed made{settings, {}};
  made.info.decoded_bytes = raw.size();
  made.info.encoded_bytes = 0;
  if (raw.empty()) return made;
  lzma_options_lzma options{};
  const bool failed = lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME);
  INSTAR_ASSERT(!failed);
  // Without a bound the long runs of zeros of a difference stream take minutes; it costs 1 % of the bytes.
  options.depth = 64;
  options.dict_size = settings.window_bytes;
  options.lc = settings.literal_context_bits;
  options.lp = settings.literal_position_bits;
  options.pb = settings.position_bits;
  const std::array<lzma_filter, 2> filters{{{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, nullptr}}};
  lzma_stream stream = LZMA_STREAM_INIT;
  const lzma_ret begun = lzma_raw_encoder(&stream, filters.data());
  INSTAR_ASSERT(begun == LZMA_OK);
  stream.next_in = raw.data();
  stream.avail_in = raw.size();
  std::array<std::uint8_t, 65536> out{};
  lzma_ret done = LZMA_OK;
  while (done != LZMA_STREAM_END) {
    stream.next_out = out.data();
    stream.avail_out = out.size();
    done = lzma_code(&stream, LZMA_FINISH);
    INSTAR_ASSERT(done == LZMA_OK || done == LZMA_STREAM_END);
    made.bytes.insert(made.bytes.end(), out.begin(),
                      out.begin() + static_cast<std::ptrdiff_t>(out.size() - stream.avail_out));
  }
  lzma_end(&stream);
  made.info.encoded_bytes = made.bytes.size();
  return made;
}

}  // namespace instar::delta
