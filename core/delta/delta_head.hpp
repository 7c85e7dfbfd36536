// The head of a delta pack: what its streams are, the index as a delta, and the hashes of its body
// (docs/formats/delta.md).
//
// A delta pack rebuilds an artifact from one base. Its body is a few solid compressed streams, one after the other, cut
// into raw wire chunks of kDeltaChunkBytes; its head is
//
//   header        sizes, windows and settings of the streams
//   index delta   core/delta/index_delta.hpp
//   body hashes   32 bytes a wire chunk
//
// The head's wire chunks are named by the signed manifest, so all that is read here has been signed.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"

namespace instar::delta {

// The streams of the body, in their order on the wire. Frozen with pack format 1.
enum class Stream : std::uint8_t { control = 0, difference = 1, extra = 2 };
inline constexpr std::size_t kStreamCount = 3;

// One raw LZMA stream (liblzma's LZMA1, no container). `window_bytes`: what a decoder holds of it. Literal and position
// bits: lc, lp, pb.
struct StreamInfo {
  std::uint64_t encoded_bytes = 0;
  std::uint64_t decoded_bytes = 0;
  std::uint32_t window_bytes = 0;
  std::uint8_t literal_context_bits = 3;
  std::uint8_t literal_position_bits = 0;
  std::uint8_t position_bits = 0;
  friend bool operator==(const StreamInfo&, const StreamInfo&) = default;
};

// What the head of a delta promises of all its files of blocks.
struct BlockPromise {
  std::uint32_t stretches_max = 0;
  std::uint32_t block_bytes_max = 0;  // 0: there are none
  std::uint32_t dictionary_bytes_max = 0;
  std::uint8_t methods = 0;  // bit m for method m
};

struct DeltaHeader {
  std::array<StreamInfo, kStreamCount> streams;
  std::uint32_t file_count = 0;         // contents that the streams rebuild
  std::uint64_t file_bytes = 0;         // their sizes together: what a device writes
  std::uint64_t file_blocks = 0;        // blocks of 4096 bytes that they take up, without holes
  std::uint32_t entry_count = 0;        // of the new index: inodes at most
  std::uint32_t operations_max = 0;     // of the file that has most: bounds the copy map
  std::uint32_t index_delta_bytes = 0;  // that follow the header
  bool uses_gzip = false;               // some content is re-compressed: zlib's memory is needed
  // Files of blocks (docs/formats/blocks.md): the largest block, 0 if there are none; the most stretches of one base;
  // the methods, bit m for method m. With them the pack has format 2, with streams (such as in jars) format 3.
  std::uint32_t block_bytes_max = 0;
  std::uint32_t stretches_max = 0;
  std::uint8_t block_methods = 0;
  std::uint32_t dictionary_bytes_max = 0;  // of streams of lzma2
  bool uses_arm = false;                   // references of 32-bit Arm are predicted in some file
  friend bool operator==(const DeltaHeader&, const DeltaHeader&) = default;

  // Of the pack: 1, or what older clients cannot make: 2 with files of blocks, 3 with streams in them, 4 with
  // references of 32-bit Arm.
  [[nodiscard]] std::uint8_t format() const noexcept;
  [[nodiscard]] BlockPromise promise() const noexcept {
    return {stretches_max, block_bytes_max, dictionary_bytes_max, block_methods};
  }
  [[nodiscard]] std::uint64_t body_bytes() const noexcept;
  // Wire chunks of the body: all of kDeltaChunkBytes but the last.
  [[nodiscard]] std::uint32_t body_chunks() const noexcept;
  // Working memory of a decoder at its peak.
  [[nodiscard]] std::uint32_t memory_bytes() const noexcept;
};

[[nodiscard]] Bytes encode_delta_head(const DeltaHeader& header, ByteView index_delta,
                                      const std::vector<ChunkHash>& body);

// Splits a head that lies somewhere (a file, memory) into its parts. Reads little at a time; only the hashes are kept.
struct DeltaHead {
  DeltaHeader header;
  std::uint64_t index_delta_offset = 0;  // where in the head the index delta begins
  std::vector<ChunkHash> body;           // one a wire chunk
};
using ReadAt = std::function<Result<std::size_t>(std::uint64_t offset, std::span<std::uint8_t> out)>;
// `head_bytes`: size of the whole head, which must end with the last hash. Errors: malformed, too_large, unsupported,
// those of `read`.
[[nodiscard]] Result<DeltaHead> read_delta_head(const ReadAt& read, std::uint64_t head_bytes);

}  // namespace instar::delta
