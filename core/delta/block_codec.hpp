// Compresses and decompresses single blocks, as the file systems of images have them: each block alone, in one call.
// The publisher runs the same code to find out which blocks a device makes again bit for bit. docs/formats/blocks.md
//
// For one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::delta {

// Frozen numbers.
enum class BlockMethod : std::uint8_t {
  zlib = 1,  // a deflate stream with zlib's header and checksum
  xz = 2,    // a .xz file of one block, with CRC-32
  lz4 = 3,   // an lz4 block without a frame
  zstd = 4,  // a zstd frame
  // Streams, with content of any size (block_stream.hpp): files inside archives, not blocks of images.
  deflate = 5,  // a raw deflate stream
  lzma2 = 6,    // a raw LZMA2 stream with its end mark
};
inline constexpr std::uint8_t kBlockMethodLast = 6;

[[nodiscard]] constexpr bool is_stream(BlockMethod method) noexcept {
  return method >= BlockMethod::deflate;
}
[[nodiscard]] constexpr std::uint8_t method_bit(BlockMethod method) noexcept {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(method));
}
inline constexpr std::uint8_t kStreamMethods = method_bit(BlockMethod::deflate) | method_bit(BlockMethod::lzma2);

// How blocks are compressed.
struct BlockSpec {
  BlockMethod method = BlockMethod::zlib;
  // zlib's 1 … 9 (deflate's too), the preset of xz 0 … 9 (lzma2's too), of lz4 0 for its fast way and 1 … 12 for its
  // thorough one, zstd's 1 … 15.
  std::uint8_t level = 9;
  std::uint8_t window_bits = 15;       // zlib, deflate: 9 … 15
  std::uint32_t dictionary_bytes = 0;  // xz, lzma2
  friend bool operator==(const BlockSpec&, const BlockSpec&) = default;
};

// Whether the numbers are within the bounds above and those of limits.hpp.
[[nodiscard]] bool is_sound(const BlockSpec& spec) noexcept;

// Working memory at its peak, for blocks of up to `block_bytes`, without the block itself. Of a stream: its buffers
// too, and `block_bytes` is the dictionary of lzma2.
[[nodiscard]] std::uint32_t block_decoder_bytes(BlockMethod method, std::uint32_t block_bytes) noexcept;
[[nodiscard]] std::uint32_t block_encoder_bytes(BlockMethod method, std::uint32_t block_bytes) noexcept;

class BlockDecoder {
 public:
  // `method` is no stream.
  [[nodiscard]] static std::unique_ptr<BlockDecoder> make(BlockMethod method);
  virtual ~BlockDecoder() = default;
  // Decompresses all of `block` into `out` and returns how many bytes it has. Errors: corrupt (no sound block, or more
  // than `out` holds), unavailable (no memory).
  [[nodiscard]] virtual Result<std::size_t> decode(ByteView block, std::span<std::uint8_t> out) = 0;
};

class BlockEncoder {
 public:
  // `spec` is sound, and no stream.
  [[nodiscard]] static std::unique_ptr<BlockEncoder> make(const BlockSpec& spec);
  virtual ~BlockEncoder() = default;
  // Compresses `content` into `out` and returns how many bytes that took; 0 when it takes more than `out` has. Errors:
  // unavailable (no memory).
  [[nodiscard]] virtual Result<std::size_t> encode(ByteView content, std::span<std::uint8_t> out) = 0;
};

// One per library, each in the one file that uses it.
[[nodiscard]] std::unique_ptr<BlockDecoder> make_zlib_decoder();
[[nodiscard]] std::unique_ptr<BlockEncoder> make_zlib_encoder(const BlockSpec& spec);
[[nodiscard]] std::unique_ptr<BlockDecoder> make_xz_decoder();
[[nodiscard]] std::unique_ptr<BlockEncoder> make_xz_encoder(const BlockSpec& spec);
[[nodiscard]] std::unique_ptr<BlockDecoder> make_lz4_decoder();
[[nodiscard]] std::unique_ptr<BlockEncoder> make_lz4_encoder(const BlockSpec& spec);
[[nodiscard]] std::unique_ptr<BlockDecoder> make_zstd_decoder();
[[nodiscard]] std::unique_ptr<BlockEncoder> make_zstd_encoder(const BlockSpec& spec);

}  // namespace instar::delta
