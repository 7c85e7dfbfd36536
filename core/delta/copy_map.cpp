#include "core/delta/copy_map.hpp"

#include <algorithm>

#include "core/base/limits.hpp"

namespace instar::delta {

void CopyMap::clear() noexcept {
  copies_.clear();
  by_old_.clear();
  now_bytes_ = 0;
}

void CopyMap::add(const Operation& operation) {
  copies_.push_back({operation.old_start, operation.copy_bytes, now_bytes_});
  now_bytes_ += operation.copy_bytes + operation.extra_bytes;
}

void CopyMap::resize(std::size_t count) {
  // Frees the last file's memory first, and reserves exactly what is needed.
  if (copies_.capacity() < count) {
    copies_ = {};
    by_old_ = {};
    copies_.reserve(count);
  }
  copies_.resize(count);
}

void CopyMap::seal() {
  by_old_.reserve(
      static_cast<std::size_t>(std::ranges::count_if(copies_, [](const Copy& copy) { return copy.bytes > 0; })));
  for (std::uint32_t i = 0; i < copies_.size(); ++i) {
    if (copies_[i].bytes > 0) by_old_.push_back(i);
  }
  std::sort(by_old_.begin(), by_old_.end(), [&](std::uint32_t a, std::uint32_t b) {
    const Copy& x = copies_[a];
    const Copy& y = copies_[b];
    if (x.old_start != y.old_start) return x.old_start < y.old_start;
    return x.bytes != y.bytes ? x.bytes > y.bytes : a < b;
  });
  // Copies inside a longer one are not needed, because the longer one covers the same bytes.
  std::uint32_t end = 0;
  std::erase_if(by_old_, [&](std::uint32_t i) {
    const Copy& copy = copies_[i];
    if (copy.old_start + copy.bytes <= end) return true;
    end = copy.old_start + copy.bytes;
    return false;
  });
}

Operation CopyMap::operation(std::size_t i) const noexcept {
  const Copy& copy = copies_[i];
  const std::uint32_t end = i + 1 < copies_.size() ? copies_[i + 1].now_start : now_bytes_;
  return {copy.old_start, copy.bytes, end - copy.now_start - copy.bytes};
}

// 0 when the copy covers the offset.
std::uint32_t CopyMap::distance(const Copy& copy, std::uint32_t old_offset) const noexcept {
  if (old_offset < copy.old_start) return copy.old_start - old_offset;
  const std::uint32_t inside = old_offset - copy.old_start;
  return inside < copy.bytes ? 0 : inside - copy.bytes + 1;
}

std::optional<std::int64_t> CopyMap::find(std::uint32_t old_offset) const noexcept {
  if (by_old_.empty()) return std::nullopt;
  const auto after =
      std::upper_bound(by_old_.begin(), by_old_.end(), old_offset,
                       [&](std::uint32_t offset, std::uint32_t i) { return offset < copies_[i].old_start; });
  const auto first = after - static_cast<std::ptrdiff_t>(std::min<std::size_t>(
                                 limits::kDeltaOverlapsMax, static_cast<std::size_t>(after - by_old_.begin())));
  const auto last = after == by_old_.end() ? after : after + 1;
  const Copy* best = nullptr;
  for (auto i = first; i != last; ++i) {
    const Copy& copy = copies_[*i];
    if (best == nullptr) {
      best = &copy;
      continue;
    }
    const std::uint32_t here = distance(copy, old_offset);
    const std::uint32_t there = distance(*best, old_offset);
    if (here < there || (here == there && copy.bytes > best->bytes)) best = &copy;
  }
  return std::int64_t{best->now_start} + (std::int64_t{old_offset} - std::int64_t{best->old_start});
}

}  // namespace instar::delta
