#include "core/revision/transfer.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

// Chunks handed to the session ahead of their requests.
constexpr std::size_t kSessionChunks = 128;
constexpr std::int64_t kGapPauseMs = 1'000;

void send(const std::vector<wire::Fetch>& fetches, Outbox& out) {
  for (const auto& fetch : fetches)
    out.publish(wire::TopicKind::device_fetch, wire::encode(fetch), wire::Qos::at_most_once);
}

}  // namespace

std::string_view fault_text(wire::ChunkFault fault) noexcept {
  switch (fault) {
    case wire::ChunkFault::none: return "no fault";
    case wire::ChunkFault::unknown_pack: return "it does not have the pack";
    case wire::ChunkFault::out_of_range: return "the pack has no such chunk";
    case wire::ChunkFault::over_budget: return "the byte budget is spent";
    case wire::ChunkFault::busy: return "it is busy";
    case wire::ChunkFault::position: return "it says where it stands";
    case wire::ChunkFault::not_offered: return "no rollout brings the pack to this device, as far as it knows";
  }
  return "unknown fault";
}

void Transfer::open(const std::vector<const wire::Pack*>& packs, std::uint32_t rate_bytes_per_s, MonotonicMs now) {
  forget();
  refusals_.clear();
  finish_asked_ = false;
  session_.set_rate(rate_bytes_per_s);
  fetch_after_.reset();
  progress_ = now;
  for (const auto* pack : packs) packs_.emplace_back(*pack);
}

void Transfer::forget() noexcept {
  close_session();
  packs_.clear();
}

bool Transfer::is_known() const noexcept {
  return !packs_.empty() && std::ranges::all_of(packs_, &PackFetch::is_known);
}

bool Transfer::is_done() const noexcept {
  return std::ranges::all_of(packs_, &PackFetch::is_done);
}

Attempt::Plan Transfer::plan(bool announced) const noexcept {
  Attempt::Plan plan;
  plan.exact = std::ranges::all_of(packs_, &PackFetch::is_exact);
  for (const auto& pack : packs_) {
    plan.left += pack.bytes_left();
    plan.bytes += pack.bytes_planned(announced);
  }
  return plan;
}

bool Transfer::has_heads_only(std::uint64_t bytes_fetched) const noexcept {
  std::uint64_t heads = 0;
  for (const auto& pack : packs_) heads += pack.head_bytes();
  return bytes_fetched <= heads;
}

PackFetch* Transfer::find(const PackId& pack) noexcept {
  const auto found = std::ranges::find(packs_, pack, &PackFetch::pack);
  return found == packs_.end() ? nullptr : &*found;
}

Transfer::Wants Transfer::take_wants(const StagingWants& wants) {
  auto* pack = find(wants.pack);
  if (pack == nullptr) return Wants::unknown_pack;
  switch (pack->take_wants(wants)) {
    case PackFetch::Taken::malformed: return Wants::malformed;
    case PackFetch::Taken::drops_asked: close_session(); break;
    case PackFetch::Taken::taken: break;
  }
  return pack->all_durable() ? Wants::taken : Wants::more;
}

void Transfer::note_durable(const PackId& pack, std::uint32_t ordinal, MonotonicMs now) noexcept {
  progress_ = now;
  auto* fetch = find(pack);
  auto* chunk = fetch == nullptr ? nullptr : fetch->find(ordinal);
  if (chunk != nullptr && chunk->state != PackFetch::ChunkState::asked) chunk->state = PackFetch::ChunkState::durable;
}

Transfer::Refused Transfer::refuse(const ChunkRefused& event) noexcept {
  auto* pack = find(event.pack);
  if (pack == nullptr || pack->find(event.ordinal) == nullptr) return Refused::unknown_chunk;
  if (event.error.code == Code::unavailable) return Refused::again;
  return ++refusals_[{event.pack, event.ordinal}] >= limits::kChunkRefusalsMax ? Refused::for_good : Refused::again;
}

void Transfer::ask_again(const PackId& pack, std::uint32_t ordinal) noexcept {
  auto* fetch = find(pack);
  auto* chunk = fetch == nullptr ? nullptr : fetch->find(ordinal);
  INSTAR_ASSERT(chunk != nullptr);
  if (chunk->state == PackFetch::ChunkState::asked) close_session();
  chunk->state = PackFetch::ChunkState::wanted;
  chunk->offset = 0;
}

Transfer::Piece Transfer::take(const wire::ChunkPiece& piece, std::uint32_t candidate, Outbox& out) {
  const auto now = out.time();
  std::vector<wire::Fetch> fetches;
  switch (session_.take(piece, now, fetches)) {
    case FetchSession::Taken::foreign: session_.note_alive(now); return Piece::useless;
    case FetchSession::Taken::alive: return Piece::useless;
    case FetchSession::Taken::fault: return Piece::fault;
    case FetchSession::Taken::gap: {
      const bool again = gap_at_ && now - *gap_at_ < kGapPauseMs;
      gap_at_ = now;
      if (again) fetch_after_ = now + kGapPauseMs;
      close_session();
      return Piece::gap;
    }
    case FetchSession::Taken::next: break;
  }
  fault_pause_ms_ = 0;
  progress_ = now;
  send(fetches, out);
  auto* pack = find(session_.pack());
  INSTAR_ASSERT(pack != nullptr);
  auto* chunk = pack->find(piece.ordinal);
  INSTAR_ASSERT(chunk != nullptr);
  if (piece.offset + piece.data.size() == chunk->bytes) chunk->state = PackFetch::ChunkState::handed;
  out.emit(StagePiece{candidate, pack->pack(), piece.ordinal, piece.offset, piece.data});
  return Piece::taken;
}

std::int64_t Transfer::pause_after_fault(MonotonicMs now) noexcept {
  close_session();
  fault_pause_ms_ = std::min(std::max(fault_pause_ms_ * 2, limits::kFetchPauseMsMin), limits::kFetchPauseMsMax);
  fetch_after_ = now + fault_pause_ms_;
  return fault_pause_ms_;
}

PackFetch* Transfer::next_pack() noexcept {
  const bool exact = std::ranges::all_of(packs_, &PackFetch::is_exact);
  for (auto& pack : packs_) {
    if ((exact || !pack.is_exact()) && pack.has(PackFetch::ChunkState::wanted)) return &pack;
  }
  return nullptr;
}

void Transfer::advance(std::uint64_t rollout, SessionNumbers& numbers, Outbox& out) {
  if (fetch_after_ && out.time() < *fetch_after_) return;
  fetch_after_.reset();
  if (session_.is_open()) {
    auto* pack = find(session_.pack());
    INSTAR_ASSERT(pack != nullptr);
    feed(*pack, rollout, numbers, out);
    if (!session_.is_complete()) return;
    close_session();
  }
  if (auto* pack = next_pack()) feed(*pack, rollout, numbers, out);
}

// Gives the session more to ask for, or opens one.
void Transfer::feed(PackFetch& pack, std::uint64_t rollout, SessionNumbers& numbers, Outbox& out) {
  if (session_.is_open() && session_.pending() > kSessionChunks / 2) return;
  const auto batch = pack.next_batch(session_.is_open(), kSessionChunks);
  if (batch.empty()) return;
  std::vector<wire::Fetch> fetches;
  if (session_.is_open()) {
    session_.add(batch, out.time(), fetches);
  } else {
    const auto boot = numbers.boot();
    const auto number = numbers.next();
    if (numbers.boot() != boot) out.persist();
    session_.open(number, pack.pack(), rollout, batch, out.time(), fetches);
  }
  send(fetches, out);
}

void Transfer::check_stall(Outbox& out) {
  const auto now = out.time();
  std::vector<wire::Fetch> fetches;
  session_.credit_if_due(now, fetches);
  session_.credit_if_quiet(now, fetches);
  const bool stalled = session_.is_stalled(now);
  const bool asked = stalled && session_.ask_position(now, fetches);
  send(fetches, out);
  if (stalled && !asked) {
    out.log(LogLevel::info, "no chunk came for a while: asking anew for what is missing");
    session_.note_stalled();
    close_session();
  }
  if (session_.is_open() || now - progress_ < limits::kHandedMsMax) return;
  for (auto& pack : packs_) pack.forget_handed();
  progress_ = now;
}

void Transfer::close_session() noexcept {
  if (!session_.is_open()) return;
  const auto half = session_.half();
  if (auto* pack = find(session_.pack())) pack->give_back(half);
  session_.close();
}

void Transfer::note_new_link() noexcept {
  close_session();
  fetch_after_.reset();
}

void Transfer::note_opened(MonotonicMs now) noexcept {
  session_.note_opened(now);
}

std::optional<MonotonicMs> Transfer::next_deadline() const noexcept {
  std::optional<MonotonicMs> earliest;
  for (const auto& time :
       {fetch_after_, session_.quiet_deadline(), session_.stall_deadline(), session_.credit_deadline()}) {
    if (time && (!earliest || *time < *earliest)) earliest = time;
  }
  return earliest;
}

void Transfer::assert_invariants() const {
  session_.assert_invariants();
  const bool is_ours =
      std::ranges::any_of(packs_, [&](const PackFetch& pack) { return pack.pack() == session_.pack(); });
  INSTAR_ASSERT(!session_.is_open() || is_ours);
  for (const auto& pack : packs_) {
    pack.assert_invariants();
    const bool is_open = session_.is_open() && pack.pack() == session_.pack();
    INSTAR_ASSERT(is_open || !pack.has(PackFetch::ChunkState::asked));
  }
}

}  // namespace instar::revision
