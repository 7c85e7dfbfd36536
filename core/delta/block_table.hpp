// What a file of blocks unpacks to: its blocks one after the other, each decompressed, and what stands between them as
// it is. Places in that sequence are *unpacked* places. docs/formats/blocks.md
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/delta/block_stream.hpp"
#include "core/delta/delta_head.hpp"

namespace instar::delta {

// A stretch of a file: a block that is compressed, bytes as they are (unpacked_bytes == bytes), or zeros that stand
// nowhere (bytes == 0).
struct BlockStretch {
  std::uint32_t bytes = 0;
  std::uint32_t unpacked_bytes = 0;
  friend bool operator==(const BlockStretch&, const BlockStretch&) = default;
};

// The stretches of a whole file, in order. Memory: 16 bytes for each.
class BlockTable {
 public:
  struct Row {
    std::uint64_t unpacked = 0;  // where the stretch begins
    std::uint32_t place = 0;     // in the file
    std::uint32_t bytes = 0;
  };
  void reserve(std::size_t stretches) { rows_.reserve(stretches); }
  // Errors: malformed (a file of 4 GiB or more; more unpacked than a device could make).
  [[nodiscard]] Status add(const BlockStretch& stretch);

  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  [[nodiscard]] const Row& row(std::size_t i) const noexcept { return rows_[i]; }
  [[nodiscard]] std::uint64_t unpacked_end(std::size_t i) const noexcept {
    return i + 1 < rows_.size() ? rows_[i + 1].unpacked : unpacked_;
  }
  [[nodiscard]] BlockStretch stretch(std::size_t i) const noexcept {
    return {rows_[i].bytes, static_cast<std::uint32_t>(unpacked_end(i) - rows_[i].unpacked)};
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint64_t unpacked_bytes() const noexcept { return unpacked_; }
  // The stretch with the byte at `unpacked`, which must be below unpacked_bytes().
  [[nodiscard]] std::size_t find(std::uint64_t unpacked) const noexcept;

 private:
  std::vector<Row> rows_;
  std::uint64_t bytes_ = 0;
  std::uint64_t unpacked_ = 0;
};

// Blocks that a reader keeps decompressed.
[[nodiscard]] constexpr std::uint32_t kept_blocks(std::uint32_t block_bytes) noexcept {
  return block_bytes <= 256 * 1024 ? 3 : 2;
}

// Reads unpacked bytes of a file at any place. A block is decompressed as a whole; the last few are kept, so reading on
// costs each block once. Memory: kept_blocks() of them, one block as it is in the file, and the decoder. A block that
// unpacks to more than block_bytes, as streams may, is read in order, and from its start again for a place before. Of
// streams: two decoders, and none as it is in the file.
class BlockReader {
 public:
  // `table` must outlive the reader. No block of it is larger than `block_bytes`, packed or unpacked, unless it is a
  // stream. `dictionary_bytes`: of lzma2.
  BlockReader(const BlockTable& table, BlockMethod method, ReadAt read, std::uint32_t block_bytes,
              std::uint32_t dictionary_bytes = 0);

  // Fills `out`. Errors: corrupt (not all of it is in the table, a broken block, a file that is too short), those of
  // `read`.
  [[nodiscard]] Status read(std::uint64_t unpacked, std::span<std::uint8_t> out);

 private:
  struct Kept {
    std::size_t row = 0;
    std::uint64_t used = 0;  // 0: free
    Bytes bytes;
  };
  [[nodiscard]] Status read_plain(std::uint64_t place, std::span<std::uint8_t> out);
  [[nodiscard]] Result<const Bytes*> unpack(std::size_t row);
  [[nodiscard]] Status unpack_to(std::size_t row, Bytes& out);

  const BlockTable& table_;
  ReadAt read_;
  std::uint32_t block_bytes_;
  std::unique_ptr<BlockDecoder> decoder_;       // unless they are streams
  std::unique_ptr<BlockStreamReader> streams_;  // of those that are kept
  std::unique_ptr<BlockStreamReader> large_;    // of those that are not
  std::vector<Kept> kept_;
  Bytes packed_;
  std::uint64_t clock_ = 0;
};

// A run of unpacked bytes.
struct BlockExtent {
  std::uint64_t unpacked = 0;
  std::uint32_t bytes = 0;
  friend bool operator==(const BlockExtent&, const BlockExtent&) = default;
};

// Runs one after the other as one file: what a part is made from. Memory: 24 bytes a run.
class ExtentView {
 public:
  ExtentView(BlockReader& reader, std::vector<BlockExtent> extents);
  [[nodiscard]] std::uint64_t size() const noexcept { return bytes_; }
  // As ReadAt: fewer bytes than asked for only at the end.
  [[nodiscard]] Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> out);

 private:
  BlockReader& reader_;
  std::vector<BlockExtent> extents_;
  std::vector<std::uint64_t> starts_;
  std::uint64_t bytes_ = 0;
};

}  // namespace instar::delta
