#include "broker-plugin/line_limit.hpp"

#include <utility>

#include "core/base/assert.hpp"

namespace instar::broker {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

}  // namespace

void LineLimit::forget_old(MonotonicMs now) {
  std::erase_if(written_, [&](const auto& entry) {
    if (now - entry.second.since < kMinuteMs) return false;
    lines_ -= entry.second.lines;
    return true;
  });
}

bool LineLimit::may_write(const std::string& subject, MonotonicMs now) {
  const auto is_full = [&] {
    const auto known = written_.find(subject);
    return lines_ >= limits::kComplaintsPerMinuteMax ||
           (known != written_.end() && known->second.lines >= limits::kLinesPerSubjectMax);
  };
  if (is_full()) forget_old(now);
  if (is_full()) {
    if (left_out_++ == 0) since_ = now;
    return false;
  }
  const auto [entry, is_new] = written_.try_emplace(subject);
  if (is_new) entry->second.since = now;
  ++entry->second.lines;
  ++lines_;
  return true;
}

std::uint64_t LineLimit::take_left_out(MonotonicMs now) noexcept {
  if (left_out_ == 0 || now - since_ < kMinuteMs) return 0;
  return std::exchange(left_out_, 0);
}

void LineLimit::assert_invariants() const {
  std::size_t lines = 0;
  for (const auto& [subject, written] : written_) {
    INSTAR_ASSERT(written.lines > 0 && written.lines <= limits::kLinesPerSubjectMax);
    lines += written.lines;
  }
  INSTAR_ASSERT(lines == lines_ && lines_ <= limits::kComplaintsPerMinuteMax);
}

}  // namespace instar::broker
