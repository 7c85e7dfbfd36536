// Blocks of zeros in files. A device leaves them as holes, which take up no space: docs/formats/staging.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "core/artifact/codec.hpp"
#include "core/base/bytes.hpp"

namespace instar::artifact {

// A hole is a multiple of this, at a multiple of it in its file.
inline constexpr std::size_t kHoleBytes = 4096;

struct Stretch {
  std::size_t bytes = 0;
  bool is_hole = false;
};
// The first part of `bytes`, which lie at `offset` of a file: whole blocks of zeros, or what comes before the next one.
// `bytes` must not be empty.
[[nodiscard]] Stretch first_stretch(ByteView bytes, std::uint64_t offset) noexcept;

// Blocks of kHoleBytes that a file with this content takes up.
[[nodiscard]] std::uint64_t blocks_without_holes(ByteView content) noexcept;

// Whole blocks in [offset, offset + bytes) of a file.
[[nodiscard]] std::uint64_t whole_blocks(std::uint64_t offset, std::uint64_t bytes) noexcept;

// Recognizes chunks that decode to zeros alone, by their hash.
class ZeroChunks {
 public:
  [[nodiscard]] bool contains(const ChunkRef& chunk);

 private:
  std::map<std::uint32_t, Hash256> hashes_;  // of so many zeros
};

}  // namespace instar::artifact
