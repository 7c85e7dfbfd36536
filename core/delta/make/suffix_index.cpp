#include "core/delta/make/suffix_index.hpp"

#include <divsufsort.h>

#include <algorithm>
#include <cstring>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::delta {

std::size_t common_bytes(ByteView a, ByteView b, std::size_t most) noexcept {
  most = std::min({most, a.size(), b.size()});
  std::size_t count = 0;
  while (count + 8 <= most) {
    std::uint64_t x = 0;
    std::uint64_t y = 0;
    std::memcpy(&x, a.data() + count, 8);
    std::memcpy(&y, b.data() + count, 8);
    if (x != y) break;
    count += 8;
  }
  while (count < most && a[count] == b[count]) ++count;
  return count;
}

SuffixIndex::SuffixIndex(ByteView text) : text_(text), suffixes_(text.size()), buckets_(65537) {
  INSTAR_ASSERT(text.size() < 0x7fffffff);
  if (text.empty()) return;
  const int done = ::divsufsort(text.data(), suffixes_.data(), static_cast<std::int32_t>(text.size()));
  INSTAR_ASSERT(done == 0);
  std::vector<std::int32_t> counts(65536);
  for (std::size_t i = 0; i + 1 < text.size(); ++i) ++counts[std::size_t{text[i]} << 8 | text[i + 1]];
  // The last byte alone sorts before everything that begins with it.
  std::int32_t at = 0;
  for (std::size_t pair = 0; pair < 65536; ++pair) {
    if (pair == std::size_t{text.back()} << 8) ++at;
    buckets_[pair] = at;
    at += counts[pair];
  }
  buckets_[65536] = at;
}

SuffixIndex::Found SuffixIndex::longest(ByteView pattern) const noexcept {
  if (pattern.size() < 2) return {};
  const std::size_t pair = std::size_t{pattern[0]} << 8 | pattern[1];
  std::int32_t low = buckets_[pair];
  std::int32_t high = buckets_[pair + 1];
  if (pattern[1] == 0xff && pair + 1 < 65536 && (pair + 1) >> 8 == text_.back()) --high;  // the lone last byte
  Found best;
  std::size_t low_common = 2;
  std::size_t high_common = 2;
  while (low < high) {
    const std::int32_t middle = low + (high - low) / 2;
    const auto position = static_cast<std::size_t>(suffixes_[static_cast<std::size_t>(middle)]);
    const ByteView suffix = text_.subspan(position);
    const std::size_t known = std::min({low_common, high_common, suffix.size()});
    const std::size_t common =
        known + common_bytes(suffix.subspan(known), pattern.subspan(known),
                             limits::kDeltaCompareBytesMax - std::min(known, limits::kDeltaCompareBytesMax));
    if (common > best.bytes) best = {static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(common)};
    if (common >= limits::kDeltaCompareBytesMax || common == pattern.size()) return best;
    if (common == suffix.size() || suffix[common] < pattern[common]) {
      low = middle + 1;
      low_common = common;
    } else {
      high = middle;
      high_common = common;
    }
  }
  return best;
}

}  // namespace instar::delta
