// Chunks of the candidate: what is wanted, what was asked for, what has come.
#include <algorithm>

#include "core/base/assert.hpp"
#include "core/revision/engine.hpp"

namespace instar::revision {
namespace {

// Chunks handed to the session ahead of their requests.
constexpr std::size_t kSessionChunks = 128;
// Fetched bytes that a power cut may leave uncounted: the state file is written once for so many.
constexpr std::uint64_t kCountBytes = 1024 * 1024;
// Chunks handed to the stager and neither durable nor refused for so long are asked for again.
constexpr std::int64_t kHandedMsMax = 60'000;
constexpr std::int64_t kGapPauseMs = 1'000;
constexpr std::int64_t kFaultPauseMsMin = 2'000;
constexpr std::int64_t kFaultPauseMsMax = 300'000;
// Refusals of one chunk that end the attempt: the first may be the link's fault, the second is not.
constexpr std::uint32_t kRefusalsMax = 2;

std::string_view fault_text(wire::ChunkFault fault) noexcept {
  switch (fault) {
    case wire::ChunkFault::none: return "no fault";
    case wire::ChunkFault::unknown_pack: return "it does not have the pack";
    case wire::ChunkFault::out_of_range: return "the pack has no such chunk";
    case wire::ChunkFault::over_budget: return "the byte budget is spent";
    case wire::ChunkFault::busy: return "it is busy";
    case wire::ChunkFault::position: return "it says where it stands";
  }
  return "unknown fault";
}

}  // namespace

PackFetch::Chunk* PackFetch::find(std::uint32_t ordinal) noexcept {
  const auto found = std::ranges::lower_bound(chunks, ordinal, {}, &Chunk::ordinal);
  return found == chunks.end() || found->ordinal != ordinal ? nullptr : &*found;
}

bool PackFetch::has(ChunkState state) const noexcept {
  return std::ranges::any_of(chunks, [&](const Chunk& chunk) { return chunk.state == state; });
}

bool PackFetch::all_durable() const noexcept {
  return std::ranges::all_of(chunks, [](const Chunk& chunk) { return chunk.state == ChunkState::durable; });
}

std::uint64_t PackFetch::bytes_left(bool body_only) const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& chunk : chunks) {
    if (chunk.state != ChunkState::durable && !(body_only && chunk.ordinal < head_count)) bytes += chunk.bytes;
  }
  return bytes;
}

bool Engine::is_candidate(std::uint32_t revision) const noexcept {
  return state_.revisions.candidate && state_.revisions.candidate->number == revision;
}

PackFetch* Engine::pack_of(const Hash256& pack) noexcept {
  const auto found = std::ranges::find(packs_, pack, &PackFetch::pack);
  return found == packs_.end() ? nullptr : &*found;
}

void Engine::on(const StagingWants& event) {
  if (!is_candidate(event.revision) || (state_.phase != Phase::fetching && state_.phase != Phase::staging)) return;
  auto* pack = pack_of(event.pack);
  if (pack == nullptr) return log(4, "the stager wants a pack that was not chosen: " + event.pack.short_hex());
  std::vector<PackFetch::Chunk> chunks;
  for (const auto& range : event.ranges) {
    for (std::uint32_t i = 0; i < range.count; ++i) {
      if (chunks.size() == event.chunk_bytes.size()) break;
      const auto bytes = event.chunk_bytes[chunks.size()];
      chunks.push_back({range.first + i, bytes, i == 0 ? range.offset : 0, PackFetch::ChunkState::wanted});
    }
  }
  if (chunks.size() != event.chunk_bytes.size()) {
    return end_attempt(Error{Code::internal, "the stager named chunks without their sizes"}, wire::Step::failed, false);
  }
  std::size_t still_asked = 0;
  for (auto& chunk : chunks) {
    const auto* before = pack->find(chunk.ordinal);
    if (before == nullptr || before->state == PackFetch::ChunkState::wanted ||
        before->state == PackFetch::ChunkState::durable)
      continue;
    chunk.state = before->state;
    chunk.offset = before->offset;
    if (chunk.state == PackFetch::ChunkState::asked) ++still_asked;
  }
  const auto asked = static_cast<std::size_t>(
      std::ranges::count(pack->chunks, PackFetch::ChunkState::asked, &PackFetch::Chunk::state));
  pack->chunks = std::move(chunks);
  if (asked != still_asked) close_session();  // something under way is not wanted any more
  pack->told = true;
  pack->exact = event.exact;
  pack->was_inexact = pack->was_inexact || !event.exact;
  if (state_.phase == Phase::staging && !pack->all_durable()) want_more();
  plan();
  if (!is_candidate(event.revision)) return;  // it costs more than it may
  advance();
}

// Says what will be fetched, before it is. The manifest knows it of a full pack of which nothing is held; of any other
// the stager knows it once it has read the head.
void Engine::plan() {
  if (!std::ranges::all_of(packs_, &PackFetch::told)) return;
  const bool exact = std::ranges::all_of(packs_, &PackFetch::exact);
  const bool announced = state_.attempt.bytes_planned != 0;
  std::uint64_t left = 0;
  std::uint64_t planned = 0;
  for (const auto& pack : packs_) {
    left += pack.bytes_left(false);
    if (!pack.exact) {
      planned += pack.likely_bytes;
    } else if (pack.was_inexact || (announced && !pack.chunks.empty())) {
      planned += pack.head_bytes + pack.bytes_left(true);  // the head was part of the plan, and has come
    } else {
      planned += pack.bytes_left(false);
    }
  }
  planned += state_.attempt.bytes_spent;
  if (state_.attempt.planned_exact) {
    // What a power cut left uncounted is at least what has become durable.
    if (left < state_.attempt.bytes_planned)
      state_.attempt.bytes_fetched = std::max(state_.attempt.bytes_fetched, state_.attempt.bytes_planned - left);
    return;
  }
  const auto budget = candidate_->policy.device_bytes_max;
  if (budget != 0 && state_.attempt.bytes_before + planned > budget &&
      !is_brought(state_.revisions.candidate->info.manifest)) {
    return end_attempt(Error{Code::refused, "this takes " + std::to_string(planned) + " bytes" +
                                                (state_.attempt.bytes_before == 0
                                                     ? ""
                                                     : " after " + std::to_string(state_.attempt.bytes_before) +
                                                           " of earlier attempts") +
                                                ", the release's budget for a device is " + std::to_string(budget)},
                       has_heads_only() ? wire::Step::refused : wire::Step::failed, false);
  }
  if (!exact && announced) return;
  const bool is_news = !announced || planned != state_.attempt.bytes_planned;
  state_.attempt.bytes_planned = planned;
  state_.attempt.planned_exact = exact;
  dirty_ = true;
  if (!is_news) return;
  std::string reason = state_.attempt.fallback_reason;
  if (!reason.empty()) reason += ", " + std::to_string(planned - state_.attempt.bytes_spent) + " bytes more";
  if (!exact)
    reason += (reason.empty() ? "" : "; ") + std::string("the head of a pack may say that less, or more, is wanted");
  report(about_candidate(state_.attempt.staging_reported ? wire::Step::staging : wire::Step::fetching, Code::ok,
                         std::move(reason)));
}

// Nothing is wanted any more. After a restart in this very phase the stager is asked again, and the report is out
// already.
void Engine::finish_staging() {
  if (finish_asked_) return;
  finish_asked_ = true;
  close_session();
  if (state_.phase == Phase::fetching) {
    enter(Trigger::all_durable);
    state_.attempt.staging_reported = true;
    report(about_candidate(wire::Step::staging, Code::ok, ""));
  }
  emit(FinishStaging{state_.revisions.candidate->number});
}

PackFetch* Engine::next_pack() noexcept {
  const bool exact = std::ranges::all_of(packs_, &PackFetch::exact);
  for (auto& pack : packs_) {
    if ((exact || !pack.exact) && pack.has(PackFetch::ChunkState::wanted)) return &pack;
  }
  return nullptr;
}

void Engine::advance() {
  if (state_.phase != Phase::fetching && state_.phase != Phase::staging) return;
  if (packs_.empty() || !std::ranges::all_of(packs_, &PackFetch::told)) return;
  if (std::ranges::all_of(packs_, [](const PackFetch& pack) { return pack.exact && pack.all_durable(); }))
    return finish_staging();
  if (!connected_) return;
  if (!may_go_on(Stage::fetch)) return close_session();
  if (fetch_after_ && now_.monotonic < *fetch_after_) return;
  fetch_after_.reset();
  if (session_.is_open()) {
    auto* pack = pack_of(session_.pack());
    INSTAR_ASSERT(pack != nullptr);
    feed(*pack);
    if (!session_.is_complete()) return;
    close_session();
  }
  if (auto* pack = next_pack()) feed(*pack);
}

void Engine::want_more() {
  finish_asked_ = false;
  enter(Trigger::more_wanted);
}

// Gives the session more to ask for, or opens one.
void Engine::feed(PackFetch& pack) {
  if (session_.is_open() && session_.pending() > kSessionChunks / 2) return;
  std::vector<WantedChunk> batch;
  const auto half = std::ranges::find_if(pack.chunks, [](const PackFetch::Chunk& chunk) {
    return chunk.state == PackFetch::ChunkState::wanted && chunk.offset != 0;
  });
  // A half chunk can only be continued before any other is touched.
  if (half != pack.chunks.end()) {
    if (session_.is_open()) {
      half->offset = 0;
    } else {
      batch.push_back({half->ordinal, half->bytes, half->offset});
      half->state = PackFetch::ChunkState::asked;
    }
  }
  for (auto& chunk : pack.chunks) {
    if (batch.size() == kSessionChunks) break;
    if (chunk.state != PackFetch::ChunkState::wanted) continue;
    chunk.state = PackFetch::ChunkState::asked;
    chunk.offset = 0;
    batch.push_back({chunk.ordinal, chunk.bytes, 0});
  }
  if (batch.empty()) return;
  std::vector<wire::Fetch> fetches;
  if (session_.is_open()) {
    session_.add(batch, now_.monotonic, fetches);
  } else {
    session_.open(next_session(), pack.pack, state_.revisions.candidate->info.manifest.prefix64(), batch,
                  now_.monotonic, fetches);
  }
  send(fetches);
}

// Sessions rise over restarts, by the persisted count of starts; over 65535 in one run that count is moved on.
std::uint32_t Engine::next_session() {
  if (++session_count_ == 0) {
    ++state_.boot;
    dirty_ = true;
    session_count_ = 1;
  }
  return (state_.boot & 0xffff) << 16 | session_count_;
}

void Engine::send(const std::vector<wire::Fetch>& fetches) {
  for (const auto& fetch : fetches) {
    emit(Publish{topics_.device(facts_.device, wire::TopicKind::device_fetch), wire::encode(fetch), 0, false});
  }
}

void Engine::close_session() {
  if (!session_.is_open()) return;
  const auto half = session_.half();
  if (auto* pack = pack_of(session_.pack())) {
    for (auto& chunk : pack->chunks) {
      if (chunk.state != PackFetch::ChunkState::asked) continue;
      chunk.state = PackFetch::ChunkState::wanted;
      chunk.offset = half && half->ordinal == chunk.ordinal ? half->offset : 0;
    }
  }
  session_.close();
}

void Engine::on_piece(ByteView payload) {
  const auto piece = wire::decode_chunk_piece(payload);
  if (!piece) return log(4, "a chunk piece cannot be read: " + piece.error().message);
  if (state_.phase != Phase::fetching && state_.phase != Phase::staging) return;
  state_.attempt.bytes_fetched += piece->data.size();
  if (state_.attempt.bytes_fetched - bytes_persisted_ >= kCountBytes) dirty_ = true;
  std::vector<wire::Fetch> fetches;
  switch (session_.take(*piece, now_.monotonic, fetches)) {
    case FetchSession::Taken::foreign: return session_.note_alive(now_.monotonic);
    case FetchSession::Taken::alive: return;
    case FetchSession::Taken::fault: return on_fault(*piece);
    case FetchSession::Taken::gap: {
      log(6, "pieces of chunk " + std::to_string(piece->ordinal) + " were lost: asking again");
      const bool again = gap_at_ && now_.monotonic - *gap_at_ < kGapPauseMs;
      gap_at_ = now_.monotonic;
      if (again) fetch_after_ = now_.monotonic + kGapPauseMs;
      close_session();
      return advance();
    }
    case FetchSession::Taken::next: break;
  }
  fault_pause_ms_ = 0;
  progress_ = now_.monotonic;
  send(fetches);
  auto* pack = pack_of(session_.pack());
  INSTAR_ASSERT(pack != nullptr);
  auto* chunk = pack->find(piece->ordinal);
  INSTAR_ASSERT(chunk != nullptr);
  if (piece->offset + piece->data.size() == chunk->bytes) chunk->state = PackFetch::ChunkState::handed;
  emit(StagePiece{state_.revisions.candidate->number, pack->pack, piece->ordinal, piece->offset, piece->data});
  advance();
}

void Engine::on_fault(const wire::ChunkPiece& piece) {
  const std::string text =
      "the broker cannot serve chunk " + std::to_string(piece.ordinal) + ": " + std::string(fault_text(piece.fault));
  if (piece.fault == wire::ChunkFault::out_of_range)
    return end_attempt(Error{Code::malformed, text}, wire::Step::failed, false);
  if (piece.fault == wire::ChunkFault::over_budget)
    return end_attempt(Error{Code::refused, text}, wire::Step::failed, false);
  close_session();
  fault_pause_ms_ = std::min(std::max(fault_pause_ms_ * 2, kFaultPauseMsMin), kFaultPauseMsMax);
  fetch_after_ = now_.monotonic + fault_pause_ms_;
  log(4, text + "; asking again in " + std::to_string(fault_pause_ms_ / 1000) + " s");
}

void Engine::on(const ChunkDurable& event) {
  if (!is_candidate(event.revision)) return;
  auto* pack = pack_of(event.pack);
  auto* chunk = pack == nullptr ? nullptr : pack->find(event.ordinal);
  progress_ = now_.monotonic;
  if (chunk != nullptr && chunk->state != PackFetch::ChunkState::asked) chunk->state = PackFetch::ChunkState::durable;
  advance();
}

void Engine::on(const ChunkRefused& event) {
  if (!is_candidate(event.revision) || (state_.phase != Phase::fetching && state_.phase != Phase::staging)) return;
  auto* pack = pack_of(event.pack);
  auto* chunk = pack == nullptr ? nullptr : pack->find(event.ordinal);
  if (chunk == nullptr) return;
  log(4, "chunk " + std::to_string(event.ordinal) + " of pack " + event.pack.short_hex() +
             " is refused: " + event.error.message);
  if (event.error.code != Code::unavailable && ++refusals_[{event.pack, event.ordinal}] >= kRefusalsMax) {
    return end_attempt(with_context(event.error, "chunk " + std::to_string(event.ordinal) + " of pack " +
                                                     event.pack.short_hex() + ", twice"),
                       wire::Step::failed, false);
  }
  if (chunk->state == PackFetch::ChunkState::asked) close_session();
  chunk->state = PackFetch::ChunkState::wanted;
  chunk->offset = 0;
  if (state_.phase == Phase::staging) want_more();
  advance();
}

void Engine::check_stall() {
  if (state_.phase != Phase::fetching) return;
  std::vector<wire::Fetch> fetches;
  session_.credit_if_due(now_.monotonic, fetches);
  session_.credit_if_quiet(now_.monotonic, fetches);
  const bool stalled = session_.is_stalled(now_.monotonic);
  const bool asked = stalled && session_.ask_position(now_.monotonic, fetches);
  send(fetches);
  if (stalled && !asked) {
    log(6, "no chunk came for a while: asking anew for what is missing");
    session_.note_stalled();
    close_session();
  }
  if (session_.is_open() || now_.monotonic - progress_ < kHandedMsMax) return;
  for (auto& pack : packs_) {
    for (auto& chunk : pack.chunks) {
      if (chunk.state != PackFetch::ChunkState::handed) continue;
      chunk.state = PackFetch::ChunkState::wanted;
      chunk.offset = 0;
    }
  }
  progress_ = now_.monotonic;
}

}  // namespace instar::revision
