// What the device hears: root documents, manifests, gates. Which release to go for.
#include <algorithm>

#include "core/base/limits.hpp"
#include "core/revision/engine.hpp"
#include "core/revision/requirements.hpp"
#include "core/trust/digest.hpp"
#include "core/wire/placement.hpp"

namespace instar::revision {
namespace {

// Gates are kept for the manifests of as many rollouts as a device can hear at once, with room for those whose manifest
// has not come yet.
constexpr std::size_t kGatesMax = 64;

template <typename T>
void keep_newest(std::vector<T>& items, std::size_t count) {
  if (items.size() > count) items.erase(items.begin(), items.end() - static_cast<std::ptrdiff_t>(count));
}

}  // namespace

bool Engine::hears(const GroupPath& group) const noexcept {
  return std::ranges::any_of(groups_, [&](const GroupPath& own) { return group.covers(own); });
}

const Outcome* Engine::outcome_of(const Hash256& manifest) const noexcept {
  const auto found = std::ranges::find(state_.history.outcomes, manifest, &Outcome::manifest);
  return found == state_.history.outcomes.end() ? nullptr : &*found;
}

bool Engine::is_known(const Hash256& manifest) const noexcept {
  const auto is = [&](const std::optional<RevisionRecord>& record) {
    return record && record->info.manifest == manifest;
  };
  return is(state_.revisions.current) || is(state_.revisions.previous) || is(state_.revisions.candidate) ||
         outcome_of(manifest) != nullptr;
}

void Engine::on_root(ByteView payload) {
  const auto before = trust_.root().version;
  const auto advanced = trust_.advance(payload);
  if (!advanced) {
    if (advanced.error().code != Code::stale) log(4, "a root document is not taken: " + advanced.error().message);
    return;
  }
  if (trust_.root().version == before) return;
  log(5, "root document " + std::to_string(trust_.root().version) + " is in force");
  state_.root = trust_.envelope();
  state_.history.refused.clear();
  note_time(trust_.root().issued);
  dirty_ = true;
  for (auto& [topic, message] : std::exchange(unverified_, {})) on(MessageArrived{topic, std::move(message)});
}

Result<std::optional<ReceivedManifest>> Engine::open_manifest(ByteView payload, const Hash256& message,
                                                              const GroupPath& group) {
  INSTAR_TRY(const auto envelope, trust_.open_manifest(payload, group));
  INSTAR_TRY(auto manifest, wire::decode_manifest(envelope.payload));
  if (manifest.product != facts_.product) return std::nullopt;
  note_time(manifest.issued);
  if (!manifest.is_for(group)) {
    return fail(Code::refused,
                "release " + manifest.release + " is not for group " + group.str() + ", on whose topic it came");
  }
  const auto hash = envelope.payload_hash;
  const bool is_current = state_.revisions.current && state_.revisions.current->info.manifest == hash;
  const bool is_candidate = state_.revisions.candidate && state_.revisions.candidate->info.manifest == hash;
  if (!is_current && !is_candidate && manifest.sequence <= state_.history.highest_sequence &&
      outcome_of(hash) == nullptr)
    return fail(obeyed_newer(state_, manifest));
  if (!is_current && !is_candidate && manifest.expires.value != 0 && clock() >= manifest.expires) {
    return fail(Code::expired, "release " + manifest.release + " expired at " + std::to_string(manifest.expires.value) +
                                   " ms since 1970, it is " + std::to_string(clock().value));
  }
  return ReceivedManifest{message, hash, to_bytes(payload), std::move(manifest)};
}

void Engine::on_manifest(const std::string& topic, const GroupPath& group, Bytes payload) {
  const auto heard = heard_.find(topic);
  // After a restart nothing is heard yet: only what takes the place of the one that is waited for says that it is not
  // offered any more.
  const bool was_waited_for = heard != heard_.end() && heard->second->hash == state_.permission.waits_manifest;
  if (payload.empty()) {  // the retained message was cleared
    if (heard != heard_.end()) heard_.erase(heard);
    unverified_.erase(topic);
    if (was_waited_for) check_waiting("the release was withdrawn");
    return;
  }
  const auto message = trust::digest(payload);
  if (heard != heard_.end() && heard->second->message == message) return;
  if (payload.size() > limits::kMessageBytesMax) {
    return refuse_message(message, {},
                          Error{Code::too_large, "a manifest of " + std::to_string(payload.size()) + " bytes"});
  }
  auto opened = open_manifest(payload, message, group);
  if (!opened) {
    refuse_message(message, payload, opened.error());
    const auto code = opened.error().code;
    if (code == Code::untrusted_key || code == Code::bad_signature) unverified_[topic] = std::move(payload);
    return;
  }
  unverified_.erase(topic);
  if (!*opened) return;
  const auto& entry = heard_[topic] = std::make_shared<const ReceivedManifest>(std::move(**opened));
  vet_gate(entry->hash);
  if (was_waited_for) check_waiting("superseded by release " + entry->manifest.release);
  consider();
}

// Once for each different message, however often it comes.
void Engine::refuse_message(const Hash256& message, ByteView payload, const Error& error) {
  if (std::ranges::find(state_.history.refused, message) != state_.history.refused.end()) return;
  remember_refused(message);
  const auto envelope = trust::parse_envelope(payload);
  log(4, "a manifest is refused (" + std::string(code_name(error.code)) + "): " + error.message);
  wire::Report refusal;
  // A forged copy must not speak for the release that it copies, once this device has dealt with that one.
  if (envelope && !is_known(envelope->payload_hash)) refusal.rollout = envelope->payload_hash;
  refusal.step = wire::Step::refused;
  refusal.code = error.code;
  refusal.reason = error.message;
  report(std::move(refusal));
}

void Engine::remember_refused(const Hash256& digest) {
  state_.history.refused.push_back(digest);
  keep_newest(state_.history.refused, limits::kFailedReleasesMax);
  dirty_ = true;
}

void Engine::record_outcome(const ReceivedManifest& heard, std::uint32_t attempt, std::uint32_t epoch, wire::Step step,
                            Code code) {
  std::erase_if(state_.history.outcomes, [&](const Outcome& outcome) { return outcome.manifest == heard.hash; });
  state_.history.outcomes.push_back({heard.hash, heard.manifest.sequence, attempt, epoch, step, code});
  keep_newest(state_.history.outcomes, limits::kFailedReleasesMax);
  dirty_ = true;
}

// A release that is rightly signed and admitted, but not possible here.
void Engine::refuse_release(const ReceivedManifest& heard, std::uint32_t retry_epoch, const Error& error) {
  const auto* before = outcome_of(heard.hash);
  std::uint32_t attempt = before == nullptr ? 0 : before->attempt;
  if (state_.permission.waits_manifest == heard.hash) attempt = stop_waiting();
  record_outcome(heard, attempt, retry_epoch, wire::Step::refused, error.code);
  log(4, "release " + heard.manifest.release + " is refused (" + std::string(code_name(error.code)) +
             "): " + error.message);
  wire::Report refusal;
  refusal.rollout = heard.hash;
  refusal.attempt = attempt;
  refusal.step = wire::Step::refused;
  refusal.code = error.code;
  refusal.reason = error.message;
  report(std::move(refusal));
}

void Engine::on_gate(const std::string& topic, const GroupPath& group, Bytes payload) {
  if (payload.empty()) return;
  const auto envelope = trust_.open_gate(payload);
  if (!envelope) {
    log(4, "a gate on " + group.str() + " is refused (" + std::string(code_name(envelope.error().code)) +
               "): " + envelope.error().message);
    if (payload.size() <= limits::kMessageBytesMax) unverified_[topic] = std::move(payload);
    return;
  }
  unverified_.erase(topic);
  const auto gate = wire::decode_gate(envelope->payload);
  if (!gate) return log(4, "a gate on " + group.str() + " cannot be read: " + gate.error().message);
  if (gate->product != facts_.product || !hears(gate->group)) return;
  auto mark = std::ranges::find(state_.gates, gate->manifest, &GateMark::manifest);
  if (mark != state_.gates.end() && gate->issue < mark->issue) {
    return log(4, "a gate on " + group.str() + " is older (issue " + std::to_string(gate->issue) +
                      ") than one heard before (" + std::to_string(mark->issue) + "): ignored");
  }
  if (mark == state_.gates.end()) {
    state_.gates.push_back({gate->manifest, gate->issue});
    keep_newest(state_.gates, kGatesMax);
    dirty_ = true;
  } else if (gate->issue > mark->issue) {
    mark->issue = gate->issue;
    dirty_ = true;
  }
  note_time(gate->fresh);
  gates_[gate->manifest] = *gate;
  std::erase_if(gates_, [&](const auto& entry) {
    return std::ranges::find(state_.gates, entry.first, &GateMark::manifest) == state_.gates.end();
  });
  const auto hash = gate->manifest;
  std::erase_if(broken_gates_, [&](const Hash256& broken) { return !gates_.contains(broken); });
  vet_gate(hash);
  stop_if_aborted();
  check_waiting("");
  go_back_if_told();
  look_again();
}

bool Engine::is_admitted(const wire::Manifest& manifest, const Hash256& hash) const noexcept {
  if (is_brought(hash)) return true;
  const auto* gate = gate_of(hash);
  if (gate == nullptr || gate->sequence != manifest.sequence || gate->state != wire::GateState::open) return false;
  return wire::admits(manifest.policy, *gate, facts_.device);
}

// The highest sequence that a gate lets this device take and that it has not dealt with.
std::shared_ptr<const ReceivedManifest> Engine::best_offer() const {
  std::shared_ptr<const ReceivedManifest> best;
  for (const auto& [topic, heard] : heard_) {
    const auto& manifest = heard->manifest;
    if (best && manifest.sequence <= best->manifest.sequence) continue;
    if (state_.revisions.candidate && state_.revisions.candidate->info.manifest == heard->hash) continue;
    if (!may_begin(state_, manifest, heard->hash) || !is_admitted(manifest, heard->hash)) continue;
    // Once more, and only when that was said since.
    const auto* outcome = outcome_of(heard->hash);
    const bool said = is_brought(heard->hash)
                          ? !brought_begun_
                          : outcome == nullptr || gates_.at(heard->hash).retry_epoch > outcome->retry_epoch;
    if (outcome != nullptr && !said) continue;
    if (manifest.expires.value != 0 && clock() >= manifest.expires) continue;
    best = heard;
  }
  return best;
}

void Engine::consider() {
  const auto phase = state_.phase;
  if (phase == Phase::trying || phase == Phase::committing || phase == Phase::rolling_back) return;
  if (const auto best = best_offer()) {
    if (phase == Phase::idle || best->manifest.sequence > state_.revisions.candidate->info.sequence) begin(*best);
  }
  if (state_.phase != Phase::waiting || !retry_due_) return;
  const auto hash = state_.revisions.candidate->info.manifest;
  if (is_admitted(*candidate_, hash) && may_start(*candidate_, hash)) retry();
}

void Engine::stop_if_aborted() {
  const auto phase = state_.phase;
  if (phase != Phase::waiting && phase != Phase::fetching && phase != Phase::staging) return;
  const auto* gate = gate_of(state_.revisions.candidate->info.manifest);
  if (gate == nullptr || (gate->state != wire::GateState::aborted && gate->state != wire::GateState::reverted)) return;
  const std::string word = gate->state == wire::GateState::aborted ? "aborted" : "taken back";
  log(5, "release " + state_.revisions.candidate->info.release + " is stopped: its rollout was " + word);
  stop_attempt(Code::refused, "the rollout was " + word + " before this device had switched");
  drop_candidate(Leftover::keep);
  enter(Trigger::aborted);
}

}  // namespace instar::revision
