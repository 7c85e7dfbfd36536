#include "core/delta/block_codec.hpp"

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::delta {
namespace {

// inflate with its window; deflate at memory level 8 and window bits 15.
constexpr std::uint32_t kZlibDecoderBytes = 44 * 1024;
constexpr std::uint32_t kZlibEncoderBytes = 272 * 1024;
// liblzma's own state; the dictionary comes on top, in the encoder with its trees of matches and its look ahead.
constexpr std::uint32_t kXzDecoderBytes = 68 * 1024;
constexpr std::uint32_t kXzEncoderBytes = 1424 * 1024;
constexpr std::uint32_t kXzEncoderFactor = 12;
// lz4 keeps nothing to decompress; its thorough way has tables of 256 KiB.
constexpr std::uint32_t kLz4EncoderBytes = 264 * 1024;
// zstd's tables grow with the block.
constexpr std::uint32_t kZstdDecoderBytes = 160 * 1024;
constexpr std::uint32_t kZstdEncoderBytes = 640 * 1024;
constexpr std::uint32_t kZstdEncoderFactor = 18;
// Two buffers of each stream (block_stream.hpp).
constexpr std::uint32_t kStreamBuffers = 16 * 1024;

}  // namespace

bool is_sound(const BlockSpec& spec) noexcept {
  switch (spec.method) {
    case BlockMethod::zlib:
    case BlockMethod::deflate:
      return spec.level >= 1 && spec.level <= 9 && spec.window_bits >= 9 && spec.window_bits <= 15 &&
             spec.dictionary_bytes == 0;
    case BlockMethod::xz:
    case BlockMethod::lzma2:
      return spec.level <= 9 && spec.window_bits == 15 && spec.dictionary_bytes >= 4096 &&
             spec.dictionary_bytes <= limits::kBlockBytesMax;
    case BlockMethod::lz4: return spec.level <= 12 && spec.window_bits == 15 && spec.dictionary_bytes == 0;
    case BlockMethod::zstd:
      return spec.level >= 1 && spec.level <= 15 && spec.window_bits == 15 && spec.dictionary_bytes == 0;
  }
  return false;
}

std::uint32_t block_decoder_bytes(BlockMethod method, std::uint32_t block_bytes) noexcept {
  switch (method) {
    case BlockMethod::zlib: return kZlibDecoderBytes;
    case BlockMethod::xz: return kXzDecoderBytes + block_bytes;
    case BlockMethod::lz4: return 0;
    case BlockMethod::zstd: return kZstdDecoderBytes;
    case BlockMethod::deflate: return kZlibDecoderBytes + kStreamBuffers;
    case BlockMethod::lzma2: return kXzDecoderBytes + block_bytes + kStreamBuffers;
  }
  return 0;
}

std::uint32_t block_encoder_bytes(BlockMethod method, std::uint32_t block_bytes) noexcept {
  switch (method) {
    case BlockMethod::zlib: return kZlibEncoderBytes;
    case BlockMethod::xz: return kXzEncoderBytes + kXzEncoderFactor * block_bytes;
    case BlockMethod::lz4: return kLz4EncoderBytes;
    case BlockMethod::zstd: return kZstdEncoderBytes + kZstdEncoderFactor * block_bytes;
    case BlockMethod::deflate: return kZlibEncoderBytes + kStreamBuffers;
    case BlockMethod::lzma2: return kXzEncoderBytes + kXzEncoderFactor * block_bytes + kStreamBuffers;
  }
  return 0;
}

std::unique_ptr<BlockDecoder> BlockDecoder::make(BlockMethod method) {
  INSTAR_ASSERT(!is_stream(method));
  switch (method) {
    case BlockMethod::zlib: return make_zlib_decoder();
    case BlockMethod::xz: return make_xz_decoder();
    case BlockMethod::lz4: return make_lz4_decoder();
    case BlockMethod::zstd:
    case BlockMethod::deflate:
    case BlockMethod::lzma2: break;
  }
  return make_zstd_decoder();
}

std::unique_ptr<BlockEncoder> BlockEncoder::make(const BlockSpec& spec) {
  INSTAR_ASSERT(is_sound(spec) && !is_stream(spec.method));
  switch (spec.method) {
    case BlockMethod::zlib: return make_zlib_encoder(spec);
    case BlockMethod::xz: return make_xz_encoder(spec);
    case BlockMethod::lz4: return make_lz4_encoder(spec);
    case BlockMethod::zstd:
    case BlockMethod::deflate:
    case BlockMethod::lzma2: break;
  }
  return make_zstd_encoder(spec);
}

}  // namespace instar::delta
