#include "core/revision/upkeep.hpp"

#include <algorithm>
#include <iterator>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::revision {

void Upkeep::note_ensured(MonotonicMs now) noexcept {
  if (ensured_ && now - *ensured_ > limits::kStartPauseMsMax) pause_ms_ = 0;
  ensured_ = now;
  pause_ms_ = std::min(std::max(pause_ms_ * 2, limits::kStartPauseMsMin), limits::kStartPauseMsMax);
}

void Upkeep::plan(MonotonicMs now) noexcept {
  if (!ensure_at_) ensure_at_ = now + pause_ms_;
}

void Upkeep::forget(bool is_kept) noexcept {
  if (is_kept) pause_ms_ = 0;
  stops_.clear();
}

std::optional<Upkeep::Change> Upkeep::update_degraded(const std::string& stuck, MonotonicMs now,
                                                      const std::vector<std::string>& others) {
  stops_.forget(now);
  auto degraded = stops_.degraded(now);
  if (!stuck.empty()) degraded.push_back(stuck);
  std::ranges::copy(others, std::back_inserter(degraded));
  if (degraded == degraded_) return std::nullopt;
  Change change;
  std::ranges::copy_if(degraded, std::back_inserter(change.added),
                       [&](const std::string& line) { return std::ranges::find(degraded_, line) == degraded_.end(); });
  change.is_over = degraded.empty();
  degraded_ = std::move(degraded);
  return change;
}

std::optional<MonotonicMs> Upkeep::next_deadline() const {
  auto earliest = stops_.next_deadline();
  if (ensure_at_ && (!earliest || *ensure_at_ < *earliest)) earliest = ensure_at_;
  return earliest;
}

void Upkeep::assert_invariants() const {
  INSTAR_ASSERT(pause_ms_ == 0 || (pause_ms_ >= limits::kStartPauseMsMin && pause_ms_ <= limits::kStartPauseMsMax));
  INSTAR_ASSERT(!ensured_ || !ensure_at_ || *ensure_at_ >= *ensured_);
  stops_.assert_invariants();
}

}  // namespace instar::revision
