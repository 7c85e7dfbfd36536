// Blocks of any size, such as files inside a jar: compressed and decompressed as streams, so that none of them is in
// memory as a whole. The publisher runs the same code to find out which ones a device makes again bit for bit.
// docs/formats/blocks.md
//
// For one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "core/delta/block_codec.hpp"
#include "core/delta/delta_head.hpp"

namespace instar::delta {

class BlockStreamDecoder {
 public:
  // `method` is that of a stream; `dictionary_bytes`: of lzma2.
  [[nodiscard]] static std::unique_ptr<BlockStreamDecoder> make(BlockMethod method, std::uint32_t dictionary_bytes);
  virtual ~BlockStreamDecoder() = default;
  // Before the first byte of each block. Errors: unavailable (no memory).
  [[nodiscard]] virtual Status begin() = 0;
  // Decompresses from the front of `packed` to the front of `out` until one of them is used up or the block ends; both
  // become what is left of them. Returns true when the block has ended. Errors: corrupt, unavailable.
  [[nodiscard]] virtual Result<bool> decode(ByteView& packed, std::span<std::uint8_t>& out) = 0;
};

class BlockStreamEncoder {
 public:
  using Sink = std::function<Status(ByteView)>;  // what it is given is valid during the call
  // `spec` is sound, and that of a stream.
  [[nodiscard]] static std::unique_ptr<BlockStreamEncoder> make(const BlockSpec& spec, Sink sink);
  virtual ~BlockStreamEncoder() = default;
  // The next bytes of the content, in pieces of any size: the outcome does not depend on it. Errors: those of the sink,
  // too_large, unavailable (no memory). After an error the only use left is to destroy it.
  [[nodiscard]] virtual Status write(ByteView content) = 0;
  [[nodiscard]] virtual Status finish() = 0;
};

// Reads content of blocks of a file. Reading on where the read before ended costs what is read; a place before that, or
// in another block, costs the block up to there. Memory: the decoder and 12 KiB.
class BlockStreamReader {
 public:
  BlockStreamReader(BlockMethod method, std::uint32_t dictionary_bytes, ReadAt read);

  struct Place {
    std::uint64_t from = 0;  // in the file
    std::uint32_t bytes = 0;
  };
  // Fills `out` with content of the block at `place`, from `offset` on. Errors: corrupt (a broken block, or one that
  // ends before), unavailable, those of `read`.
  [[nodiscard]] Status read(const Place& place, std::uint64_t offset, std::span<std::uint8_t> out);

 private:
  [[nodiscard]] Status begin(const Place& place);
  [[nodiscard]] Status refill();
  [[nodiscard]] Status fill(std::span<std::uint8_t> out);

  ReadAt read_;
  std::unique_ptr<BlockStreamDecoder> decoder_;
  bool begun_ = false;
  Place place_;
  std::uint32_t taken_ = 0;     // of the block as it is in the file
  std::uint64_t position_ = 0;  // in its content
  ByteView waiting_;            // of input_
  Bytes input_;
  Bytes passed_;
};

// One per library, each in the one file that uses it.
[[nodiscard]] std::unique_ptr<BlockStreamDecoder> make_deflate_decoder();
[[nodiscard]] std::unique_ptr<BlockStreamEncoder> make_deflate_encoder(const BlockSpec& spec,
                                                                       BlockStreamEncoder::Sink sink);
[[nodiscard]] std::unique_ptr<BlockStreamDecoder> make_lzma2_decoder(std::uint32_t dictionary_bytes);
[[nodiscard]] std::unique_ptr<BlockStreamEncoder> make_lzma2_encoder(const BlockSpec& spec,
                                                                     BlockStreamEncoder::Sink sink);

}  // namespace instar::delta
