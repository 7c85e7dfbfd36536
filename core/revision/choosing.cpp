#include "core/revision/choosing.hpp"

#include <algorithm>

#include "core/revision/age.hpp"
#include "core/revision/attempt_end.hpp"
#include "core/revision/pack_choice.hpp"
#include "core/revision/requirements.hpp"
#include "core/wire/placement.hpp"

namespace instar::revision {

void Choosing::vet_gate(const ManifestId& hash) {
  const auto* manifest = parts_.revisions.manifest_of(hash);
  if (manifest == nullptr) manifest = parts_.inbox.find(hash);
  if (manifest == nullptr) return;
  const auto* trust = parts_.revisions.is_current(hash) ? nullptr : &parts_.inbox.trust();
  const auto obeyed = parts_.gates.vet(hash, *manifest, trust);
  if (obeyed) return;
  auto refusal = parts_.report_as_it_stands(hash);
  refusal.code = Code::refused;
  refusal.reason = obeyed.error().message + ": not obeyed";
  parts_.say_once("gate", hash, std::move(refusal));
}

void Choosing::vet_gates() {
  for (const auto& [topic, received] : parts_.inbox.manifests()) vet_gate(received->hash);
  if (const auto& candidate = parts_.revisions.candidate()) vet_gate(candidate->info.manifest);
}

void Choosing::vet_age(const ManifestId& hash) {
  const auto* manifest = parts_.inbox.find(hash);
  if (manifest == nullptr || parts_.revisions.holds(hash) || parts_.history.find(hash) != nullptr) return;
  if (parts_.permission.waits_for(hash)) return;
  const auto judged = parts_.judged(*manifest, hash);
  const auto aged = check_age(*manifest, judged, parts_.time);
  if (aged) return;
  wire::Report refusal;
  refusal.rollout = hash;
  refusal.step = wire::Step::refused;
  refusal.code = aged.error().code;
  refusal.reason = aged.error().message;
  parts_.say_once("age", std::to_string(static_cast<int>(judged.by)), hash, std::move(refusal));
}

bool Choosing::is_admitted(const wire::Manifest& manifest, const ManifestId& hash) const {
  return parts_.permission.is_brought(hash) || parts_.gates.admits(hash, manifest, parts_.facts.device);
}

bool Choosing::is_repeated(const ManifestId& hash, const Outcome* outcome) const noexcept {
  if (parts_.permission.is_brought(hash)) return !parts_.permission.is_brought_begun();
  return parts_.gates.retry_epoch(hash).value_or(0) > outcome->retry_epoch;
}

std::shared_ptr<const ReceivedManifest> Choosing::best_offer() const {
  std::shared_ptr<const ReceivedManifest> best;
  for (const auto& [topic, received] : parts_.inbox.manifests()) {
    const auto& manifest = received->manifest;
    const auto& hash = received->hash;
    if (best && manifest.sequence <= best->manifest.sequence) continue;
    if (parts_.revisions.is_candidate(hash)) continue;
    if (!parts_.history.may_begin(manifest, hash) || !is_admitted(manifest, hash)) continue;
    const auto* outcome = parts_.history.find(hash);
    if (outcome != nullptr && !is_repeated(hash, outcome)) continue;
    if (!check_age(manifest, parts_.judged(manifest, hash), parts_.time)) continue;
    best = received;
  }
  return best;
}

void Choosing::consider() {
  if (parts_.course.is_switching()) return;
  const auto& candidate = parts_.revisions.candidate();
  if (const auto best = best_offer()) {
    if (parts_.course.is(Phase::idle) || best->manifest.sequence > candidate->info.sequence) begin(*best);
  }
  if (!parts_.course.is(Phase::waiting) || !parts_.attempt.is_retry_due()) return;
  const auto hash = candidate->info.manifest;
  const auto& manifest = *parts_.revisions.candidate_manifest();
  if (is_admitted(manifest, hash) && may_start(manifest, hash)) fetching_.retry();
}

bool Choosing::may_start(const wire::Manifest& manifest, const ManifestId& hash) {
  const bool is_candidate = parts_.revisions.is_candidate(hash);
  const auto attempt = (is_candidate ? parts_.attempt.number() : parts_.history.attempts(hash)) + 1;
  const auto* gate = parts_.gates.find(hash);
  const auto pace = wire::goes_by_turns(manifest.policy, gate == nullptr ? 0 : gate->wave) ? Permission::Pace::by_turns
                                                                                           : Permission::Pace::free;
  return parts_.permission.may_start(manifest, hash, attempt, pace, times_blocker(manifest, hash), parts_.out);
}

// A candidate is no new release to the root document that was in force when it began.
Blocker Choosing::times_blocker(const wire::Manifest& manifest, const ManifestId& hash) const {
  const auto wall = parts_.wall();
  if (!parts_.revisions.is_candidate(hash)) {
    if (auto blocker = root_blocker(parts_.inbox.root(), parts_.time, wall); !blocker.empty()) return blocker;
  }
  const auto* gate = parts_.gates.find(hash);
  if (gate == nullptr || parts_.permission.is_brought(hash)) return {};
  if (auto blocker = ahead_blocker(manifest, *gate, parts_.time, wall); !blocker.empty()) return blocker;
  return stale_blocker(manifest, *gate, parts_.time, wall);
}

std::optional<MonotonicMs> Choosing::next_deadline() const {
  const auto& hash = parts_.permission.state().waits_manifest;
  const auto* gate = parts_.permission.is_waiting() ? parts_.gates.find(hash) : nullptr;
  const auto* manifest = parts_.revisions.manifest_of(hash);
  if (manifest == nullptr) manifest = parts_.inbox.find(hash);
  if (gate == nullptr || manifest == nullptr) return std::nullopt;
  const auto ahead = ms_ahead(*manifest, *gate, parts_.time, parts_.wall());
  return ahead ? std::optional(parts_.out.time() + *ahead) : std::nullopt;
}

std::uint32_t Choosing::retry_epoch(const ManifestId& hash) const noexcept {
  return parts_.gates.retry_epoch(hash).value_or(parts_.history.retry_epoch(hash));
}

Result<std::vector<PackChoice>> Choosing::plan(const ReceivedManifest& received) const {
  const auto& manifest = received.manifest;
  INSTAR_CHECK(check_requirements(manifest, parts_.facts, parts_.room.free_bytes()));
  INSTAR_TRY(auto choices,
             choose_packs(manifest, holdings_of(parts_.revisions, parts_.facts.description.memory_bytes)));
  if (!parts_.permission.is_brought(received.hash)) INSTAR_CHECK(check_byte_budget(manifest, choices));
  return choices;
}

void Choosing::begin(const ReceivedManifest& received) {
  const auto& manifest = received.manifest;
  parts_.permission.note_begun(received.hash);
  const auto choices = plan(received);
  if (!choices) {
    const bool room_helps = choices.error().code == Code::no_space;
    if (room_helps && parts_.room.makes_room_first(manifest.release, parts_.revisions, parts_.out)) return;
    return refuse(received, choices.error());
  }
  // What waits for its next attempt makes way at once, though the newer release may have to wait itself; what it holds
  // stays for that one.
  if (parts_.course.is(Phase::waiting)) {
    supersede_candidate(manifest.release);
    forget_candidate(parts_);
    parts_.enter(Trigger::overtaken);
  }
  if (!may_start(manifest, received.hash)) return;
  const bool is_idle = parts_.course.is(Phase::idle);
  if (!is_idle) supersede_candidate(manifest.release);
  fetching_.begin(received, *choices, retry_epoch(received.hash), is_idle ? Trigger::admitted : Trigger::superseded);
}

void Choosing::supersede_candidate(const std::string& release) {
  const std::string reason = "superseded by release " + release + " before this device had switched";
  parts_.out.log(LogLevel::notice, "release " + parts_.revisions.candidate()->info.release + " is " + reason);
  stop_attempt(parts_, Code::stale, reason);
}

void Choosing::refuse(const ReceivedManifest& received, const Error& error) {
  auto attempt = parts_.history.attempts(received.hash);
  const auto epoch = retry_epoch(received.hash);
  if (parts_.permission.waits_for(received.hash)) attempt = parts_.permission.stop_waiting(parts_.out);
  parts_.history.record(
      {received.hash, received.manifest.sequence, attempt, epoch, wire::Step::refused, error.code, error.message});
  parts_.out.persist();
  parts_.out.log(LogLevel::warning, "release " + received.manifest.release + " is refused (" +
                                        std::string(code_name(error.code)) + "): " + error.message);
  wire::Report refusal;
  refusal.rollout = received.hash;
  refusal.attempt = attempt;
  refusal.step = wire::Step::refused;
  refusal.code = error.code;
  refusal.reason = error.message;
  parts_.out.report(std::move(refusal));
}

void Choosing::check_waiting(const std::string& reason) {
  if (!parts_.permission.is_waiting()) return;
  const auto hash = parts_.permission.state().waits_manifest;
  if (parts_.revisions.is_candidate(hash)) return;
  if (parts_.gates.is_ended(hash))
    return parts_.permission.give_up_waiting(Code::refused, "the rollout was ended", parts_.out);
  const auto* manifest = parts_.inbox.find(hash);
  if (manifest == nullptr) {
    if (!reason.empty()) parts_.permission.give_up_waiting(Code::stale, reason, parts_.out);
    return;
  }
  if (const auto aged = check_age(*manifest, parts_.judged(*manifest, hash), parts_.time); !aged)
    parts_.permission.give_up_waiting(Code::expired, aged.error().message + ": given up", parts_.out);
}

void Choosing::stop_if_ended() {
  if (!parts_.course.is(Phase::waiting) && !parts_.course.is_acquiring()) return;
  const auto& info = parts_.revisions.candidate()->info;
  if (!parts_.gates.is_ended(info.manifest)) return;
  const bool is_aborted = parts_.gates.state_of(info.manifest) == wire::GateState::aborted;
  const std::string how = is_aborted ? "aborted" : "taken back";
  parts_.out.log(LogLevel::notice, "release " + info.release + " is stopped: its rollout was " + how);
  stop_attempt(parts_, Code::refused, "the rollout was " + how + " before this device had switched");
  drop_candidate(parts_, Leftover::keep);
  parts_.enter(Trigger::aborted);
}

}  // namespace instar::revision
