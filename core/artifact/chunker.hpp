// Content-defined chunking (FastCDC: gear hash with normalized cut masks, Xia et al., USENIX ATC 2016).
// The same bytes give the same cuts, on any machine and with any pieces of input.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/bytes.hpp"

namespace instar::artifact {

struct ChunkerParameters {
  std::uint32_t bytes_min;
  std::uint32_t bytes_average;  // a power of two
  std::uint32_t bytes_max;
};

// `dedupe`: small chunks, to find what moved. `full`: large ones, to compress well. These have a cut by content about
// every 1.5 MB, after which two similar streams have the same chunks again. Frozen with pack format 1. 24 MB of
// Debian's libraries compress to 31.5 % in dedupe's chunks, 27.9 % in full's, 27.8 % in 256 KiB blocks (28.8 % with
// cuts twice as often).
inline constexpr ChunkerParameters kDedupeChunks{8 * 1024, 32 * 1024, 128 * 1024};
inline constexpr ChunkerParameters kFullChunks{64 * 1024, 256 * 1024, 256 * 1024};

// Finds the cuts of one stream. Usage: call next_cut() with all bytes buffered since the last cut.
class Chunker {
 public:
  explicit Chunker(ChunkerParameters parameters) : parameters_(parameters) {}
  // Length of the first chunk of `buffer`, or 0 when more bytes are needed to know (only if `last` is false).
  // There is no state between calls: pass the same start again with more bytes.
  [[nodiscard]] std::size_t next_cut(ByteView buffer, bool last) const noexcept;

 private:
  ChunkerParameters parameters_;
};

}  // namespace instar::artifact
