#include "core/artifact/holes.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/trust/digest.hpp"

namespace instar::artifact {
namespace {

// The largest chunk of zeros compresses to some 30 bytes. A chunk with more need not be looked at.
constexpr std::uint32_t kZerosEncodedBytes = 64;

bool is_hole_at(ByteView bytes, std::size_t at) noexcept {
  if (bytes.size() - at < kHoleBytes) return false;
  const ByteView block = bytes.subspan(at, kHoleBytes);
  return block.front() == 0 && std::equal(block.begin(), block.end() - 1, block.begin() + 1);
}

}  // namespace

Stretch first_stretch(ByteView bytes, std::uint64_t offset) noexcept {
  INSTAR_ASSERT(!bytes.empty());
  std::size_t at = std::min<std::size_t>(bytes.size(), (kHoleBytes - offset % kHoleBytes) % kHoleBytes);
  if (at == 0 && is_hole_at(bytes, 0)) {
    while (is_hole_at(bytes, at)) at += kHoleBytes;
    return {at, true};
  }
  while (at < bytes.size() && !is_hole_at(bytes, at)) at += std::min(kHoleBytes, bytes.size() - at);
  return {at, false};
}

std::uint64_t blocks_without_holes(ByteView content) noexcept {
  std::uint64_t blocks = 0;
  for (std::size_t at = 0; at < content.size();) {
    const Stretch stretch = first_stretch(content.subspan(at), at);
    if (!stretch.is_hole) blocks += (stretch.bytes + kHoleBytes - 1) / kHoleBytes;
    at += stretch.bytes;
  }
  return blocks;
}

std::uint64_t whole_blocks(std::uint64_t offset, std::uint64_t bytes) noexcept {
  const std::uint64_t first = (offset + kHoleBytes - 1) / kHoleBytes;
  const std::uint64_t end = (offset + bytes) / kHoleBytes;
  return end > first ? end - first : 0;
}

bool ZeroChunks::contains(const ChunkRef& chunk) {
  if (chunk.decoded_bytes < kHoleBytes || chunk.encoded_bytes > kZerosEncodedBytes) return false;
  const auto [found, is_new] = hashes_.try_emplace(chunk.decoded_bytes);
  if (is_new) found->second = trust::digest(Bytes(chunk.decoded_bytes));
  return chunk.hash == found->second;
}

}  // namespace instar::artifact
