#include "core/revision/fetching.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/revision/attempt_end.hpp"
#include "core/revision/pack_choice.hpp"

namespace instar::revision {

bool Fetching::is_about_us(std::uint32_t revision) const noexcept {
  return parts_.revisions.is_candidate(revision) && parts_.course.is_acquiring();
}

void Fetching::begin(const ReceivedManifest& received, const std::vector<PackChoice>& choices,
                     std::uint32_t retry_epoch, Trigger trigger) {
  const auto& manifest = received.manifest;
  parts_.permission.give_up_waiting(Code::stale, "superseded by release " + manifest.release, parts_.out);
  parts_.revisions.take_candidate(received.hash, received.envelope, manifest);
  parts_.attempt.begin(received.hash, manifest, choices, retry_epoch, parts_.history);
  parts_.history.obey(manifest.sequence);
  parts_.trial.forget_starts();
  parts_.room.begin_attempt();
  parts_.enter(trigger);
  parts_.out.log(LogLevel::notice, "going for release " + manifest.release + " (sequence " +
                                       std::to_string(manifest.sequence) + ", attempt " +
                                       std::to_string(parts_.attempt.number()) + ") as revision " +
                                       std::to_string(parts_.revisions.candidate()->number));
  open_staging();
}

void Fetching::retry() {
  parts_.attempt.next();
  parts_.trial.forget_starts();
  parts_.room.begin_attempt();
  parts_.enter(Trigger::retry_due);
  parts_.out.log(LogLevel::notice, "attempt " + std::to_string(parts_.attempt.number()) + " at release " +
                                       parts_.revisions.candidate()->info.release);
  open_staging();
}

void Fetching::open_staging() {
  const auto& manifest = *parts_.revisions.candidate_manifest();
  parts_.attempt.end_pause();
  parts_.attempt.note_staged(false);
  parts_.permission.clear_pause(parts_.out);
  OpenStaging open;
  open.revision = parts_.revisions.candidate()->number;
  open.manifest = manifest;
  std::vector<const wire::Pack*> packs;
  const auto chosen = parts_.attempt.packs();
  for (std::size_t i = 0; i < manifest.artifacts.size(); ++i) {
    const auto& artifact = manifest.artifacts[i];
    const auto* pack = i < chosen.size() ? find_pack(artifact, chosen[i]) : nullptr;
    if (pack == nullptr) {
      parts_.transfer.forget();
      return end_attempt(parts_, Error{Code::internal, "the remembered pack is not in the manifest"},
                         wire::Step::failed, true);
    }
    open.choices.push_back({artifact.id, pack->id});
    packs.push_back(pack);
  }
  // The cap is for the sake of links. What the owner has brought as a file takes none.
  const auto rate = parts_.permission.is_brought(parts_.revisions.candidate()->info.manifest)
                        ? 0
                        : manifest.policy.rate_bytes_per_s_max;
  parts_.transfer.open(packs, rate, parts_.out.time());
  open.bases = parts_.revisions.bases();
  parts_.out.emit(std::move(open));
}

void Fetching::give_up(Code code, std::string message) {
  end_attempt(parts_, Error{code, std::move(message)}, wire::Step::failed, false);
}

// --- what the stager says -----------------------------------------------------------------------------------

void Fetching::on(const StagingWants& event) {
  if (!is_about_us(event.revision)) return;
  const auto wants = parts_.transfer.take_wants(event);
  if (wants == Transfer::Wants::unknown_pack)
    return parts_.out.log(LogLevel::warning, "the stager wants a pack that was not chosen: " + event.pack.short_hex());
  if (wants == Transfer::Wants::malformed)
    return give_up(Code::internal, "the stager named chunks without their sizes");
  if (wants == Transfer::Wants::more && parts_.course.is(Phase::staging)) want_more();
  plan();
  if (parts_.revisions.is_candidate(event.revision)) advance();  // otherwise it costs more than it may
}

// Says what will be fetched, before it is.
void Fetching::plan() {
  if (!parts_.transfer.is_known()) return;
  auto& attempt = parts_.attempt;
  const auto plan = parts_.transfer.plan(attempt.is_announced());
  const bool is_brought = parts_.permission.is_brought(parts_.revisions.candidate()->info.manifest);
  const auto budget = is_brought ? 0 : parts_.revisions.candidate_manifest()->policy.device_bytes_max;
  const auto planned = attempt.plan(plan, budget);
  if (planned == Attempt::Planned::known) return;
  if (planned == Attempt::Planned::over_budget) {
    const bool untouched = parts_.transfer.has_heads_only(attempt.bytes_fetched());
    return end_attempt(parts_, Error{Code::refused, attempt.over_budget_reason(plan, budget)},
                       untouched ? wire::Step::refused : wire::Step::failed, false);
  }
  parts_.out.persist();
  if (planned == Attempt::Planned::noted) return;
  const auto step = attempt.is_staging_reported() ? wire::Step::staging : wire::Step::fetching;
  parts_.out.report(parts_.about_candidate(step, Code::ok, attempt.plan_reason(plan.exact)));
}

void Fetching::on(const ChunkDurable& event) {
  if (!parts_.revisions.is_candidate(event.revision)) return;
  parts_.transfer.note_durable(event.pack, event.ordinal, parts_.out.time());
  advance();
}

void Fetching::on(const ChunkRefused& event) {
  if (!is_about_us(event.revision)) return;
  const auto refused = parts_.transfer.refuse(event);
  if (refused == Transfer::Refused::unknown_chunk) return;
  const auto chunk = "chunk " + std::to_string(event.ordinal) + " of pack " + event.pack.short_hex();
  parts_.out.log(LogLevel::warning, chunk + " is refused: " + event.error.message);
  if (refused == Transfer::Refused::for_good)
    return end_attempt(parts_, with_context(event.error, chunk + ", twice"), wire::Step::failed, false);
  parts_.transfer.ask_again(event.pack, event.ordinal);
  if (parts_.course.is(Phase::staging)) want_more();
  advance();
}

void Fetching::want_more() {
  parts_.transfer.want_more();
  parts_.enter(Trigger::more_wanted);
}

bool Fetching::finish(const StagingDone& event) {
  if (!is_about_us(event.revision)) return false;
  parts_.transfer.close_session();
  parts_.attempt.note_staged(true);
  return true;
}

void Fetching::on(const StagingFailed& event) {
  if (!is_about_us(event.revision)) return;
  auto error = event.error;
  const bool no_space = error.code == Code::no_space;
  if (no_space && make_room()) {
    parts_.out.log(LogLevel::notice,
                   "making room for revision " + std::to_string(event.revision) + ": " + error.message);
    return open_staging();
  }
  const bool previous_could_go = parts_.revisions.previous() && !parts_.revisions.previous_is_factory();
  if (no_space && previous_could_go && !parts_.facts.previous_makes_room)
    error.message += "; or let the revision before make room (previous_makes_room = yes on the device)";
  const bool untouched =
      parts_.transfer.has_heads_only(parts_.attempt.bytes_fetched()) && (no_space || error.code == Code::refused);
  const bool fresh = error.code == Code::corrupt || error.code == Code::malformed;
  end_attempt(parts_, error, untouched ? wire::Step::refused : wire::Step::failed, fresh);
}

bool Fetching::make_room() {
  const auto& manifest = *parts_.revisions.candidate_manifest();
  const bool previous_may_go = parts_.facts.previous_makes_room &&
                               (may_cost_more() || !needs_previous(manifest, parts_.attempt.packs(), parts_.revisions));
  return parts_.room.make_room(previous_may_go, parts_.revisions, parts_.out);
}

bool Fetching::may_cost_more() const noexcept {
  return !parts_.facts.description.metered || parts_.revisions.candidate_manifest()->policy.metered_fallback;
}

// What the delta cannot make comes from another pack, if that may be: never silently, and on a paid link never without
// leave.
void Fetching::on(const PackUnusable& event) {
  if (!is_about_us(event.revision)) return;
  const auto packs = parts_.attempt.packs();
  const auto chosen = std::ranges::find(packs, event.pack);
  if (chosen == packs.end())
    return parts_.out.log(LogLevel::warning,
                          "the stager speaks of a pack that was not chosen: " + event.pack.short_hex());
  const auto index = static_cast<std::size_t>(chosen - packs.begin());
  const auto& artifact = parts_.revisions.candidate_manifest()->artifacts[index];
  const auto others =
      choose_repair(artifact, event.missing, holdings_of(parts_.revisions, parts_.facts.description.memory_bytes));
  if (others.empty()) {
    return give_up(Code::unsupported, event.error.message + "; the release has no other pack of artifact " +
                                          artifact.id.short_hex() +
                                          " that this device can use: publish one that is full or dedupe");
  }
  const auto& pack = artifact.packs[others.front().offer];
  const std::string kind(artifact::pack_kind_name(pack.kind));
  const auto bytes_min = std::to_string(others.front().bytes_min);
  if (!may_cost_more()) {
    return give_up(Code::refused, event.error.message + "; the " + kind +
                                      " pack would bring what is missing for about " + bytes_min + " bytes, " +
                                      std::to_string(others.front().bytes_max) +
                                      " at most, and this link is metered: put the base right, or publish with "
                                      "policy.metered_fallback");
  }
  if (event.now) return fall_back_to(index, pack, event);
  parts_.out.log(LogLevel::warning, event.error.message + "; the delta brings everything else, then the " + kind +
                                        " pack brings what is missing: about " + bytes_min + " bytes more");
}

void Fetching::fall_back_to(std::size_t index, const wire::Pack& pack, const PackUnusable& event) {
  const std::string kind(artifact::pack_kind_name(pack.kind));
  const bool everything = event.missing.files == 0;
  auto reason = clean_text(event.error.message) + "; " + (everything ? "the" : "what is missing comes from the") + " " +
                kind + " pack" + (everything ? " is used instead" : "");
  parts_.out.log(LogLevel::warning, "release " + parts_.revisions.candidate()->info.release + ": " + reason);
  parts_.attempt.fall_back_to(index, pack, everything, std::move(reason), *parts_.revisions.candidate_manifest());
  parts_.out.persist();
  open_staging();
}

// --- the link -------------------------------------------------------------------------------------------------

void Fetching::take_piece(ByteView payload) {
  const auto piece = wire::decode_chunk_piece(payload);
  if (!piece) return parts_.out.log(LogLevel::warning, "a chunk piece cannot be read: " + piece.error().message);
  if (!parts_.course.is_acquiring()) return;
  if (parts_.attempt.count(piece->data.size())) parts_.out.persist();
  switch (parts_.transfer.take(*piece, parts_.revisions.candidate()->number, parts_.out)) {
    case Transfer::Piece::useless: return;
    case Transfer::Piece::fault: return take_fault(*piece);
    case Transfer::Piece::gap:
      parts_.out.log(LogLevel::info, "pieces of chunk " + std::to_string(piece->ordinal) + " were lost: asking again");
      break;
    case Transfer::Piece::taken: break;
  }
  advance();
}

void Fetching::take_fault(const wire::ChunkPiece& piece) {
  const auto text =
      "the broker cannot serve chunk " + std::to_string(piece.ordinal) + ": " + std::string(fault_text(piece.fault));
  if (piece.fault == wire::ChunkFault::out_of_range) return give_up(Code::malformed, text);
  if (piece.fault == wire::ChunkFault::over_budget) return give_up(Code::refused, text);
  const auto pause_ms = parts_.transfer.pause_after_fault(parts_.out.time());
  parts_.out.log(LogLevel::warning, text + "; asking again in " + std::to_string(pause_ms / 1000) + " s");
}

void Fetching::advance() {
  auto& transfer = parts_.transfer;
  if (!parts_.course.is_acquiring() || !transfer.is_known()) return;
  if (transfer.is_done()) return finish_staging();
  if (parts_.out.is_connected()) ask();
}

void Fetching::prepare() {
  if (parts_.course.is_acquiring() && parts_.transfer.is_known() && !parts_.transfer.is_done()) ask();
}

void Fetching::ask() {
  auto& transfer = parts_.transfer;
  const bool may_go_on = parts_.permission.may_go_on(Permission::Stage::fetch, parts_.course.phase(), parts_.revisions,
                                                     parts_.gates, parts_.attempt, parts_.out);
  if (!may_go_on) return transfer.close_session();
  transfer.advance(parts_.revisions.candidate()->info.manifest.prefix64(), parts_.sessions, parts_.out);
}

// Nothing is wanted any more. After a restart in this very phase the stager is asked again, and the report is out
// already.
void Fetching::finish_staging() {
  if (!parts_.transfer.ask_finish()) return;
  parts_.transfer.close_session();
  if (parts_.course.is(Phase::fetching)) {
    parts_.enter(Trigger::all_durable);
    parts_.attempt.note_staging_reported();
    parts_.out.report(parts_.about_candidate(wire::Step::staging, Code::ok, ""));
  }
  parts_.out.emit(FinishStaging{parts_.revisions.candidate()->number});
}

void Fetching::check_stall() {
  if (parts_.out.is_connected() && parts_.course.is(Phase::fetching)) parts_.transfer.check_stall(parts_.out);
}

}  // namespace instar::revision
