#include "core/revision/pack_fetch.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/revision/pack_choice.hpp"

namespace instar::revision {

PackFetch::PackFetch(const wire::Pack& pack)
    : pack_(pack.id),
      head_count_(static_cast<std::uint32_t>(pack.head.size())),
      head_bytes_(pack.head_bytes),
      likely_bytes_(revision::likely_bytes(pack)) {}

PackFetch::Chunk* PackFetch::find(std::uint32_t ordinal) noexcept {
  const auto found = std::ranges::lower_bound(chunks_, ordinal, {}, &Chunk::ordinal);
  return found == chunks_.end() || found->ordinal != ordinal ? nullptr : &*found;
}

bool PackFetch::has(ChunkState state) const noexcept {
  return std::ranges::any_of(chunks_, [&](const Chunk& chunk) { return chunk.state == state; });
}

bool PackFetch::all_durable() const noexcept {
  return std::ranges::all_of(chunks_, [](const Chunk& chunk) { return chunk.state == ChunkState::durable; });
}

std::uint64_t PackFetch::bytes_left(bool body_only) const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& chunk : chunks_) {
    if (chunk.state != ChunkState::durable && !(body_only && chunk.ordinal < head_count_)) bytes += chunk.bytes;
  }
  return bytes;
}

// The manifest knows it of a full pack of which nothing is held; of any other the stager knows it once it has read the
// head.
std::uint64_t PackFetch::bytes_planned(bool announced) const noexcept {
  if (!exact_) return likely_bytes_;
  // The head was part of the plan, and has come.
  if (was_inexact_ || (announced && !chunks_.empty())) return head_bytes_ + bytes_left(true);
  return bytes_left(false);
}

PackFetch::Taken PackFetch::take_wants(const StagingWants& wants) {
  std::vector<Chunk> chunks;
  for (const auto& range : wants.ranges) {
    for (std::uint32_t i = 0; i < range.count; ++i) {
      if (chunks.size() == wants.chunk_bytes.size()) break;
      const auto bytes = wants.chunk_bytes[chunks.size()];
      chunks.push_back({range.first + i, bytes, i == 0 ? range.offset : 0, ChunkState::wanted});
    }
  }
  if (chunks.size() != wants.chunk_bytes.size()) return Taken::malformed;
  std::size_t still_asked = 0;
  for (auto& chunk : chunks) {
    const auto* before = find(chunk.ordinal);
    if (before == nullptr || before->state == ChunkState::wanted || before->state == ChunkState::durable) continue;
    chunk.state = before->state;
    chunk.offset = before->offset;
    if (chunk.state == ChunkState::asked) ++still_asked;
  }
  const auto asked = static_cast<std::size_t>(std::ranges::count(chunks_, ChunkState::asked, &Chunk::state));
  chunks_ = std::move(chunks);
  known_ = true;
  exact_ = wants.exact;
  was_inexact_ = was_inexact_ || !wants.exact;
  return asked == still_asked ? Taken::taken : Taken::drops_asked;
}

std::vector<WantedChunk> PackFetch::next_batch(bool goes_on, std::size_t count_max) {
  std::vector<WantedChunk> batch;
  const auto half = std::ranges::find_if(
      chunks_, [](const Chunk& chunk) { return chunk.state == ChunkState::wanted && chunk.offset != 0; });
  if (half != chunks_.end()) {
    if (goes_on) {
      half->offset = 0;
    } else {
      batch.push_back({half->ordinal, half->bytes, half->offset});
      half->state = ChunkState::asked;
    }
  }
  for (auto& chunk : chunks_) {
    if (batch.size() == count_max) break;
    if (chunk.state != ChunkState::wanted) continue;
    chunk.state = ChunkState::asked;
    chunk.offset = 0;
    batch.push_back({chunk.ordinal, chunk.bytes, 0});
  }
  return batch;
}

void PackFetch::give_back(const std::optional<WantedChunk>& half) noexcept {
  for (auto& chunk : chunks_) {
    if (chunk.state != ChunkState::asked) continue;
    chunk.state = ChunkState::wanted;
    chunk.offset = half && half->ordinal == chunk.ordinal ? half->offset : 0;
  }
}

void PackFetch::forget_handed() noexcept {
  for (auto& chunk : chunks_) {
    if (chunk.state != ChunkState::handed) continue;
    chunk.state = ChunkState::wanted;
    chunk.offset = 0;
  }
}

void PackFetch::assert_invariants() const {
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    INSTAR_ASSERT(i == 0 || chunks_[i - 1].ordinal < chunks_[i].ordinal);
    INSTAR_ASSERT(chunks_[i].bytes == 0 || chunks_[i].offset < chunks_[i].bytes);
  }
  INSTAR_ASSERT(known_ || chunks_.empty());
}

}  // namespace instar::revision
