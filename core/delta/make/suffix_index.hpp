// The longest match of a pattern in a text, by a suffix array.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/bytes.hpp"

namespace instar::delta {

class SuffixIndex {
 public:
  // `text` must outlive the index; at most 2^31 - 1 bytes. Memory: 4 bytes a byte, and 256 KiB.
  explicit SuffixIndex(ByteView text);

  struct Found {
    std::uint32_t position = 0;
    std::uint32_t bytes = 0;  // that match from there; 0 = nothing found
  };
  // Looks for the start of `pattern`. Matches longer than limits::kDeltaCompareBytesMax are reported as that long.
  [[nodiscard]] Found longest(ByteView pattern) const noexcept;

 private:
  ByteView text_;
  std::vector<std::int32_t> suffixes_;
  std::vector<std::int32_t> buckets_;  // by the first two bytes: where their suffixes begin
};

// Bytes that both have in common at their start, up to `most`.
[[nodiscard]] std::size_t common_bytes(ByteView a, ByteView b, std::size_t most) noexcept;

}  // namespace instar::delta
