#include "core/delta/make/match.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/delta/make/suffix_index.hpp"

namespace instar::delta {
namespace {

// A new alignment must match this many bytes more than the present one does over the same stretch: about what an
// operation costs.
constexpr std::size_t kGainBytes = 10;
// The present alignment is kept without a search while it goes on matching for so long.
constexpr std::size_t kKeepBytes = 48;

// One stretch of `now` aligned with `old`.
class Matcher {
 public:
  Matcher(ByteView old, ByteView now) : old_(old), now_(now), index_(old) {}

  std::vector<Operation> run() {
    while (scan_ < now_.size()) {
      find_next();
      if (length_ == old_score_ && scan_ < now_.size()) continue;
      close_stretch();
    }
    return std::move(operations_);
  }

 private:
  [[nodiscard]] bool agrees(std::size_t at) const noexcept {
    const std::int64_t place = static_cast<std::int64_t>(at) + offset_;
    return place >= 0 && static_cast<std::size_t>(place) < old_.size() &&
           old_[static_cast<std::size_t>(place)] == now_[at];
  }

  [[nodiscard]] std::size_t keeps(std::size_t at) const noexcept {
    const std::int64_t place = static_cast<std::int64_t>(at) + offset_;
    if (place < 0 || static_cast<std::size_t>(place) >= old_.size()) return 0;
    return common_bytes(old_.subspan(static_cast<std::size_t>(place)), now_.subspan(at), now_.size());
  }

  // Moves scan_ to where another alignment is clearly better than the present one, or to a place from which the present
  // one goes on.
  void find_next() {
    old_score_ = 0;
    scan_ += length_;
    std::size_t scored = scan_;
    for (; scan_ < now_.size(); ++scan_) {
      if (const std::size_t kept = keeps(scan_); kept >= kKeepBytes) {
        // Everything up to here was scored under this alignment as well.
        length_ = old_score_ = kept;
        return;
      }
      const auto found = index_.longest(now_.subspan(scan_));
      length_ = found.bytes;
      position_ = found.position;
      if (length_ == limits::kDeltaCompareBytesMax) {
        length_ = common_bytes(old_.subspan(position_), now_.subspan(scan_), now_.size());
      }
      for (; scored < scan_ + length_; ++scored) old_score_ += agrees(scored) ? 1 : 0;
      if ((length_ == old_score_ && length_ != 0) || length_ > old_score_ + kGainBytes) return;
      if (scored == scan_)
        ++scored;
      else if (agrees(scan_))
        --old_score_;
    }
  }

  // The stretch from last_now_ on ends somewhere before scan_, the next one begins there.
  void close_stretch() {
    const std::size_t forward = forward_bytes();
    std::size_t backward = scan_ < now_.size() ? backward_bytes() : 0;
    std::size_t kept = forward;
    if (last_now_ + forward > scan_ - backward) {
      const std::size_t overlap = last_now_ + forward - (scan_ - backward);
      const std::size_t split = split_overlap(overlap, forward, backward);
      kept = forward + split - overlap;
      backward -= split;
    }
    const std::size_t extra = scan_ - backward - (last_now_ + kept);
    if (kept != 0 || extra != 0) {
      operations_.push_back({kept == 0 ? 0 : static_cast<std::uint32_t>(last_old_), static_cast<std::uint32_t>(kept),
                             static_cast<std::uint32_t>(extra)});
    }
    last_now_ = scan_ - backward;
    last_old_ = position_ - backward;
    offset_ = static_cast<std::int64_t>(position_) - static_cast<std::int64_t>(scan_);
  }

  // How far the stretch is worth going on: the most of 2 × matching - length.
  [[nodiscard]] std::size_t forward_bytes() const noexcept {
    std::int64_t score = 0;
    std::int64_t best = 0;
    std::size_t bytes = 0;
    for (std::size_t i = 0; last_now_ + i < scan_ && last_old_ + i < old_.size(); ++i) {
      score += old_[last_old_ + i] == now_[last_now_ + i] ? 1 : -1;
      if (score > best) {
        best = score;
        bytes = i + 1;
      }
    }
    return bytes;
  }

  [[nodiscard]] std::size_t backward_bytes() const noexcept {
    std::int64_t score = 0;
    std::int64_t best = 0;
    std::size_t bytes = 0;
    for (std::size_t i = 1; scan_ >= last_now_ + i && position_ >= i; ++i) {
      score += old_[position_ - i] == now_[scan_ - i] ? 1 : -1;
      if (score > best) {
        best = score;
        bytes = i;
      }
    }
    return bytes;
  }

  // Of `overlap` bytes that both could have, how many go to the first.
  [[nodiscard]] std::size_t split_overlap(std::size_t overlap, std::size_t forward,
                                          std::size_t backward) const noexcept {
    std::int64_t score = 0;
    std::int64_t best = 0;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < overlap; ++i) {
      const std::size_t at = last_now_ + forward - overlap + i;
      if (now_[at] == old_[last_old_ + forward - overlap + i]) ++score;
      if (now_[at] == old_[position_ - backward + i]) --score;
      if (score > best) {
        best = score;
        bytes = i + 1;
      }
    }
    return bytes;
  }

  ByteView old_;
  ByteView now_;
  SuffixIndex index_;
  std::vector<Operation> operations_;
  std::size_t scan_ = 0;
  std::size_t length_ = 0;
  std::size_t position_ = 0;
  std::size_t old_score_ = 0;
  std::size_t last_now_ = 0;
  std::size_t last_old_ = 0;
  std::int64_t offset_ = 0;
};

}  // namespace

std::vector<Operation> match(ByteView old, ByteView now) {
  INSTAR_ASSERT(now.size() <= 0xffffffff);
  if (now.empty()) return {};
  if (old.empty()) return {{0, 0, static_cast<std::uint32_t>(now.size())}};
  return Matcher(old, now).run();
}

}  // namespace instar::delta
