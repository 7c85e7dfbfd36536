#include "core/revision/window_control.hpp"

#include <algorithm>
#include <utility>

#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

// A piece has some 80 bytes around it: 2 % of 4 KiB. Larger ones would hold up a message that comes behind them, so
// they take half a second; on the slowest links what is around them would cost more than the wait is worth.
constexpr std::uint64_t kSlowPieceMs = 450;
constexpr std::uint32_t kSmallPieceBytes = 3 * 1024;
constexpr std::uint32_t kSlowPieceBytes = 4 * 1024;
// Fast links: so that the broker has fewer pieces to handle, and fewer returns of credit.
constexpr std::uint64_t kStepMs = 100;
// What the broker, the device and the credit's own way take, beside the round trip.
constexpr std::uint64_t kHandlingMs = 100;
// What may stand in line before the link.
constexpr std::uint64_t kLineMs = limits::kFetchWindowMsMax;
// Of a window; the rest that the broker lets be out is for those at a chunk's end, which are small.
constexpr std::uint64_t kWindowPieces = limits::kWindowPiecesMax - 4;
constexpr std::uint64_t kAllPieces = limits::kWindowPiecesMax - 2;
// By so much a window may grow at once.
constexpr std::uint32_t kStartGain = 4;
// So many windows in a row with pauses in them are no accident.
constexpr std::uint32_t kUneven = 4;
constexpr std::int64_t kLongestWayMs = 60'000;
constexpr std::uint32_t kHighestRate = 1U << 30U;
constexpr std::int64_t kNoGapMs = 1'000'000;
// Less is not worth measuring.
constexpr std::uint32_t kMeasuredBytes = 1024;

}  // namespace

WindowControl::WindowControl(std::uint32_t bytes_max, std::uint32_t piece_bytes_max)
    : bytes_max_(std::clamp(bytes_max, limits::kFetchWindowBytesMin, limits::kWindowBytesMax)),
      piece_bytes_max_(std::clamp(piece_bytes_max, limits::kPieceBytesMin, limits::kPieceBytesMax)),
      bytes_(std::min(kStartBytes, bytes_max_)),
      piece_bytes_(std::min(kStartPieceBytes, piece_bytes_max_)),
      step_bytes_(bytes_ / 2) {}

std::int64_t WindowControl::window_ms() const noexcept {
  return rate_ == 0 ? 0 : static_cast<std::int64_t>(std::uint64_t{bytes_} * 1'000 / rate_);
}

void WindowControl::asked(MonotonicMs now) noexcept {
  awaits_first_ = knows_when_ = true;
  has_first_ = false;
  begin_measure(now);
}

void WindowControl::asked_earlier(MonotonicMs now) noexcept {
  asked(now);
  knows_when_ = false;
}

// The first piece says how long the way is, and the one right behind it how much of that was the piece itself.
void WindowControl::arrived(std::uint32_t bytes, MonotonicMs now) noexcept {
  const auto gap_ms = now - last_;
  last_ = now;
  if (awaits_first_) {
    awaits_first_ = false;
    has_first_ = knows_when_;
    first_ms_ = now - mark_;
    first_bytes_ = bytes;
    begin_measure(now);
    return;
  }
  if (std::exchange(has_first_, false)) take_round_trip(first_ms_ - gap_ms * first_bytes_ / bytes);
  ++pieces_;
  gap_ms_min_ = std::min(gap_ms_min_, gap_ms);
  since_mark_ += bytes;
  if (since_mark_ >= (rate_ == 0 ? bytes_ / 2 : bytes_)) measure(now);
}

void WindowControl::paused(MonotonicMs now) noexcept {
  if (rate_ == 0 && since_mark_ >= kMeasuredBytes) measure(now);
}

void WindowControl::stalled() noexcept {
  rate_ /= 2;
  is_starting_ = true;
  if (rate_ != 0) return choose();
  bytes_ = std::max(limits::kFetchWindowBytesMin, bytes_ / 2);
  step_bytes_ = bytes_ / 2;
}

void WindowControl::begin_measure(MonotonicMs now) noexcept {
  since_mark_ = pieces_ = 0;
  gap_ms_min_ = kNoGapMs;
  mark_ = now;
}

void WindowControl::measure(MonotonicMs now) noexcept {
  const auto ms = std::max<std::int64_t>(now - mark_, 1);
  const auto rate = std::uint64_t{since_mark_} * 1'000 / static_cast<std::uint64_t>(ms);
  take_rate(static_cast<std::uint32_t>(std::min<std::uint64_t>(rate, kHighestRate)));
  look_for_pauses(ms);
  begin_measure(now);
  choose();
}

// Where the window is too small, its pieces come one right after the other, and then nothing until credit has gone all
// the way. The round trip was measured too short then, or has become longer. A link that sends so by itself makes the
// window larger without need: hence the bound.
void WindowControl::look_for_pauses(std::int64_t ms) noexcept {
  const bool has_pauses = pieces_ > 1 && gap_ms_min_ * pieces_ * 5 < ms * 4;
  uneven_ = has_pauses ? uneven_ + 1 : 0;
  if (uneven_ < kUneven) return;
  uneven_ = 0;
  more_ms_ = std::min(more_ms_ + std::max(20U, round_trip_ms_ / 8), static_cast<std::uint32_t>(kLineMs));
}

// A window that came at once after a pause of the device itself says little, so the rate rises by a quarter only. It
// falls slowly too: one slow window is not a slow link, unless it is far slower.
void WindowControl::take_rate(std::uint32_t rate) noexcept {
  const auto before = rate_;
  const auto quarter_more = before + before / 4;
  if (before != 0 && rate <= quarter_more) is_starting_ = false;
  if (rate >= before)
    rate_ = is_starting_ ? rate : std::min(rate, quarter_more);
  else
    rate_ = rate < before / 3 ? (before + rate) / 2 : std::max(rate, before - before / 8);
  rate_ = std::max(rate_, 1U);
}

void WindowControl::take_round_trip(std::int64_t measured_ms) noexcept {
  const auto ms = static_cast<std::uint32_t>(std::clamp<std::int64_t>(measured_ms, 1, kLongestWayMs));
  more_ms_ = 0;
  round_trip_ms_ = round_trip_ms_ == 0 || ms < round_trip_ms_ ? ms : round_trip_ms_ + (ms - round_trip_ms_) / 2;
}

void WindowControl::choose() noexcept {
  const std::uint64_t rate = rate_;
  const std::uint64_t way_ms = round_trip_ms_ + more_ms_;
  const auto need = rate * (way_ms + kHandlingMs) / 1'000;
  const auto slow = std::clamp<std::uint64_t>(rate * kSlowPieceMs / 1'000, kSmallPieceBytes, kSlowPieceBytes);
  auto piece = std::max({slow, rate * kStepMs / 1'000, std::min<std::uint64_t>(need, bytes_max_) / kWindowPieces});
  piece = std::min<std::uint64_t>({piece, piece_bytes_max_, bytes_max_ / 2});
  // What is on its way are whole pieces of the size before: as long as that does, it stays.
  const auto step_of = [&](std::uint64_t size) { return std::max(size, rate * kStepMs / 1'000); };
  const bool fits = piece_bytes_ * 4 >= piece * 3 && piece_bytes_ * 3 <= piece * 4;
  if (fits && piece_bytes_ * kAllPieces >= need + step_of(piece)) piece = piece_bytes_;
  const auto step = step_of(piece);
  const std::uint64_t least = slow < kSlowPieceBytes ? 2 : 3;
  const auto line = rate * (way_ms + kLineMs) / 1'000 / piece;
  auto pieces = std::clamp((need + step + piece - 1) / piece, least, std::max(line, least));
  if (is_starting_) pieces = std::min(pieces, std::uint64_t{bytes_} * kStartGain / piece);
  pieces = std::max<std::uint64_t>(std::min<std::uint64_t>({pieces, bytes_max_ / piece, kAllPieces}), 2);
  bytes_ = static_cast<std::uint32_t>(pieces * piece);
  piece_bytes_ = static_cast<std::uint32_t>(piece);
  step_bytes_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(step, bytes_ / 2));
}

}  // namespace instar::revision
