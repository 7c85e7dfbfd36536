#include "core/revision/fetch_session.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

// Long beside the pause between two pieces of a link that carries them at all well, short beside a stall.
constexpr std::int64_t kQuietMs = 1'000;

// `chunk` right after `last` can stand in the same range: only a range's first chunk may start inside.
bool joins(const WantedChunk& last, const WantedChunk& chunk) noexcept {
  return chunk.offset == 0 && last.ordinal + 1 == chunk.ordinal;
}

}  // namespace

FetchSession::FetchSession(std::uint32_t window_bytes_max, std::uint32_t piece_bytes_max)
    : window_(window_bytes_max, piece_bytes_max) {}

std::uint64_t FetchSession::paid(MonotonicMs now) const noexcept {
  if (rate_ == 0 || paid_until_ <= now) return received_;
  const auto unpaid = static_cast<std::uint64_t>(paid_until_ - now) * rate_ / 1'000 + 1;
  return std::max(credited_, received_ - std::min(unpaid, received_));
}

// A second's worth at most: a burst at the start of each session is not what was allowed.
std::uint32_t FetchSession::window_bytes() const noexcept {
  return rate_ == 0 ? window_.bytes() : std::min(window_.bytes(), std::max(rate_, 4 * limits::kPieceBytesMin));
}

std::optional<MonotonicMs> FetchSession::credit_deadline() const noexcept {
  if (!open_ || rate_ == 0 || queue_.empty() || received_ == credited_) return std::nullopt;
  const auto open = received_ - credited_;
  const auto later = open - std::min<std::uint64_t>(open, step_bytes());
  return paid_until_ + -static_cast<std::int64_t>(later * 1'000 / rate_);
}

void FetchSession::credit_if_due(MonotonicMs now, std::vector<wire::Fetch>& out) {
  const auto deadline = credit_deadline();
  if (deadline && now >= *deadline && paid(now) != credited_) return_credit(now, out);
}

std::uint32_t FetchSession::piece_bytes() const noexcept {
  // An allowed rate may make the window smaller than the link's.
  return std::max(limits::kPieceBytesMin, std::min(window_.piece_bytes(), window_bytes() / 2));
}

// Half of the window is half of what the broker knows: one that has grown since would never be half full.
std::uint32_t FetchSession::step_bytes() const noexcept {
  return std::max<std::uint32_t>(std::min(window_.step_bytes(), window_sent_ / 2), 1);
}

wire::Fetch FetchSession::credit(MonotonicMs now) {
  window_sent_ = window_bytes();
  credited_ = paid(now);
  wire::Fetch fetch;
  fetch.session = id_;
  fetch.received_bytes = credited_;
  fetch.window_bytes = window_sent_;
  fetch.piece_bytes_max = piece_bytes();
  fetch.rollout = rollout_;
  return fetch;
}

void FetchSession::open(std::uint32_t id, const PackId& pack, std::uint64_t rollout,
                        const std::vector<WantedChunk>& chunks, MonotonicMs now, std::vector<wire::Fetch>& out) {
  INSTAR_ASSERT(!chunks.empty());
  open_ = true;
  questions_ = 0;
  id_ = id;
  pack_ = pack;
  rollout_ = rollout;
  queue_.clear();
  later_.assign(chunks.begin(), chunks.end());
  ranges_asked_ = 0;
  received_ = credited_ = 0;
  pieces_ = 0;
  progress_ = now;
  request(now, out);
}

void FetchSession::add(const std::vector<WantedChunk>& chunks, MonotonicMs now, std::vector<wire::Fetch>& out) {
  INSTAR_ASSERT(open_);
  if (is_complete()) progress_ = now;  // the pause was ours, not the link's
  later_.insert(later_.end(), chunks.begin(), chunks.end());
  if (ranges_asked_ < limits::kFetchRangesMax / 2) request(now, out);
}

void FetchSession::close() noexcept {
  open_ = false;
  queue_.clear();
  later_.clear();
}

void FetchSession::request(MonotonicMs now, std::vector<wire::Fetch>& out) {
  std::vector<wire::ChunkRange> ranges;
  const bool was_empty = queue_.empty();
  while (!later_.empty()) {
    const auto& chunk = later_.front();
    if (!ranges.empty() && joins(queue_.back().chunk, chunk)) {
      queue_.back().ends_range = false;
      ++ranges.back().count;
    } else {
      if (ranges_asked_ == limits::kFetchRangesMax) break;
      ranges.push_back({chunk.ordinal, 1, chunk.offset});
      ++ranges_asked_;
    }
    queue_.push_back({chunk, true});
    later_.pop_front();
  }
  if (ranges.empty()) return;
  if (was_empty) {
    progress_ = now;
    window_.asked(now);
  }
  asked_last_ = false;
  auto fetch = credit(now);
  fetch.pack = pack_;
  fetch.ranges = std::move(ranges);
  pieces_ = 0;
  out.push_back(std::move(fetch));
}

FetchSession::Taken FetchSession::take(const wire::ChunkPiece& piece, MonotonicMs now, std::vector<wire::Fetch>& out) {
  if (!open_ || piece.session != id_) return Taken::foreign;
  if (piece.fault == wire::ChunkFault::position) return take_position(piece, now);
  if (piece.fault != wire::ChunkFault::none) return Taken::fault;
  questions_ = 0;
  received_ += piece.data.size();
  if (rate_ != 0) {
    paid_until_ =
        std::max(paid_until_, now) + static_cast<std::int64_t>((piece.data.size() * 1'000 + rate_ - 1) / rate_);
  }
  if (queue_.empty()) return Taken::gap;
  auto& front = queue_.front().chunk;
  const bool fits = !piece.data.empty() && piece.data.size() <= front.bytes - front.offset;
  if (piece.ordinal != front.ordinal || piece.offset != front.offset || !fits) return Taken::gap;
  progress_ = now;
  front.offset += static_cast<std::uint32_t>(piece.data.size());
  if (front.offset == front.bytes) {
    if (queue_.front().ends_range) --ranges_asked_;
    queue_.pop_front();
  }
  window_.arrived(static_cast<std::uint32_t>(piece.data.size()), now);
  if (is_complete()) window_.paused(now);
  ++pieces_;
  if (ranges_asked_ < limits::kFetchRangesMax / 2) request(now, out);
  // The broker lets only so many pieces be out, however small they are.
  if (!queue_.empty() && (paid(now) - credited_ >= step_bytes() || pieces_ >= limits::kWindowPiecesMax / 2)) {
    return_credit(now, out);
  }
  return Taken::next;
}

FetchSession::Taken FetchSession::take_position(const wire::ChunkPiece& piece, MonotonicMs now) {
  questions_ = 0;
  progress_ = now;
  // An answer from before the last request does not know of it.
  if (!asked_last_ || queue_.empty()) return Taken::alive;
  const auto& front = queue_.front().chunk;
  return piece.ordinal == front.ordinal && piece.offset == front.offset ? Taken::alive : Taken::gap;
}

bool FetchSession::ask_position(MonotonicMs now, std::vector<wire::Fetch>& out) {
  if (questions_ >= limits::kFetchQuestionsMax) return false;
  ++questions_;
  asked_last_ = true;
  progress_ = now;
  out.push_back(credit(now));
  return true;
}

void FetchSession::return_credit(MonotonicMs now, std::vector<wire::Fetch>& out) {
  pieces_ = 0;
  out.push_back(credit(now));
}

std::optional<WantedChunk> FetchSession::half() const {
  if (!open_ || queue_.empty() || queue_.front().chunk.offset == 0) return std::nullopt;
  return queue_.front().chunk;
}

std::optional<MonotonicMs> FetchSession::stall_deadline() const noexcept {
  if (!open_ || queue_.empty()) return std::nullopt;
  return std::max(progress_, rate_ == 0 ? progress_ : paid_until_) +
         std::max(limits::kFetchStallMsMin, 4 * window_.window_ms());
}

std::optional<MonotonicMs> FetchSession::quiet_deadline() const noexcept {
  if (!open_ || queue_.empty() || received_ == credited_) return std::nullopt;
  return progress_ + kQuietMs;
}

void FetchSession::credit_if_quiet(MonotonicMs now, std::vector<wire::Fetch>& out) {
  const auto deadline = quiet_deadline();
  if (!deadline || now < *deadline || paid(now) == credited_) return;
  return_credit(now, out);
}

void FetchSession::assert_invariants() const {
  INSTAR_ASSERT(open_ || is_complete());
  INSTAR_ASSERT(credited_ <= received_);
  INSTAR_ASSERT(ranges_asked_ <= limits::kFetchRangesMax);
}

bool FetchSession::is_stalled(MonotonicMs now) const noexcept {
  const auto deadline = stall_deadline();
  return deadline && now >= *deadline;
}

}  // namespace instar::revision
