// The part of the control stream for a file of blocks, such as an image with a compressed file system: the blocks of
// its base, and the parts that it is made of. docs/formats/blocks.md
#pragma once

#include <cstdint>
#include <vector>

#include "core/delta/block_codec.hpp"
#include "core/delta/block_table.hpp"

namespace instar::delta {

class ControlReader;

struct BlockHead {
  BlockMethod old_method = BlockMethod::zlib;  // of the base's blocks
  std::uint32_t old_dictionary_bytes = 0;      // of the base's blocks, if they are of lzma2
  // No block is larger, packed or unpacked, in the base and in the file. Streams may be: in the base those are read in
  // order.
  std::uint32_t block_bytes = 0;
  std::vector<BlockSpec> specs;  // how blocks of the file are compressed; 1 … kBlockSpecsMax
  BlockTable old;
  std::uint32_t part_count = 0;
};

// What happens with the content of a part, in order. The file grows at its end only.
enum class BlockStepKind : std::uint8_t {
  end = 0,    // no step follows
  store = 1,  // the next `value` bytes of content go into the file as they are
  hold = 2,   // the next `value` bytes of content are held back for a block that several parts share
  drop = 3,   // the next `value` bytes of content do not go into the file
  copy = 4,   // `value` bytes of the base's file, from `from` on, go into the file as they are
  full = 5,   // the next `block_bytes` bytes of content become a block of `value` bytes
  block = 6,  // the next `content` bytes of content become a block of `value` bytes
  held = 7,   // what is held becomes a block of `value` bytes; 0: it goes into the file as it is
};
struct BlockStep {
  BlockStepKind kind = BlockStepKind::end;
  std::uint32_t value = 0;
  std::uint32_t content = 0;
  std::uint32_t from = 0;
  friend bool operator==(const BlockStep&, const BlockStep&) = default;
};

void append_block_head(Bytes& out, const BlockHead& head);
// `copied`: where the copy before it ended in the base's file, at first 0; it is moved on.
void append_block_step(Bytes& out, const BlockStep& step, std::uint32_t& copied);
void append_extents(Bytes& out, const std::vector<BlockExtent>& extents);

// Errors of all three: malformed, too_large, those of the reader.
[[nodiscard]] Result<BlockHead> read_block_head(ControlReader& reader, const BlockPromise& promise);
// `method`: of the blocks that the part makes.
[[nodiscard]] Result<BlockStep> read_block_step(ControlReader& reader, std::uint32_t block_bytes, BlockMethod method,
                                                std::uint32_t& copied);
[[nodiscard]] Result<std::vector<BlockExtent>> read_extents(ControlReader& reader, const BlockTable& old);

}  // namespace instar::delta
