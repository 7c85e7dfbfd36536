// Whether something may go on now, what it waits for, and saying so.
#include <algorithm>

#include "core/base/limits.hpp"
#include "core/revision/engine.hpp"
#include "core/revision/windows.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"
#include "core/wire/placement.hpp"

namespace instar::revision {
namespace {

// For people on the device: the operator knows, nothing is reported.
constexpr std::string_view kWaitsForGate = "waits for a gate that its policy allows";
constexpr std::string_view kWaitsForResume = "waits while its rollout is paused";

bool is_paced(const wire::Policy& policy) noexcept {
  return policy.in_flight_max != 0 || policy.starts_per_minute_max != 0;
}

}  // namespace

// --- gates ------------------------------------------------------------------------------------------------

const wire::Manifest* Engine::manifest_of(const Hash256& hash) const noexcept {
  if (candidate_ && state_.revisions.candidate && state_.revisions.candidate->info.manifest == hash)
    return &*candidate_;
  if (current_ && state_.revisions.current && state_.revisions.current->info.manifest == hash) return &*current_;
  for (const auto& [topic, heard] : heard_) {
    if (heard->hash == hash) return &heard->manifest;
  }
  return nullptr;
}

// A gate and the manifest that binds it may come in any order.
void Engine::vet_gate(const Hash256& hash) {
  const auto gate = gates_.find(hash);
  const auto* manifest = manifest_of(hash);
  if (gate == gates_.end() || manifest == nullptr) return;
  const auto obeyed = wire::check_gate(*manifest, gate->second);
  if (obeyed) {
    broken_gates_.erase(hash);
    return;
  }
  broken_gates_.insert(hash);
  auto refusal = report_as_it_stands(hash);
  refusal.code = Code::refused;
  refusal.reason = obeyed.error().message + ": not obeyed";
  say_once("gate", hash, std::move(refusal));
}

const wire::Gate* Engine::gate_of(const Hash256& hash) const noexcept {
  const auto gate = gates_.find(hash);
  return gate == gates_.end() || broken_gates_.contains(hash) ? nullptr : &gate->second;
}

// Remembered over restarts: what is repeated each day is told once.
void Engine::say_once(std::string_view kind, const Hash256& hash, wire::Report report_text) {
  trust::Hasher hasher;
  hasher.update(as_bytes(kind));
  hasher.update(hash.bytes);
  hasher.update(as_bytes(report_text.reason));
  const auto said = hasher.finish();
  if (std::ranges::find(state_.history.refused, said) != state_.history.refused.end()) return;
  remember_refused(said);
  log(4, report_text.reason);
  report(std::move(report_text));
}

// --- what stands in the way ---------------------------------------------------------------------------------

std::string Engine::hindrance(const wire::Manifest& manifest, const Hash256& hash, Stage stage) const {
  const auto& policy = manifest.policy;
  if (owner_.hold) return "held by the device's owner";
  if (is_brought(hash)) return "";
  const bool allowed = owner_.allow_any || owner_.allowed == manifest.release || owner_.allowed == hash.short_hex();
  if (policy.consent && !allowed)
    return "waits for the consent of the device's owner (instar-device allow " + manifest.release + ")";
  const bool is_download = stage != Stage::change;
  if (is_download && policy.unmetered_only && facts_.metered) return "waits for a link that is not metered";
  if (policy.windows.empty() || (policy.download_any_time && stage != Stage::change)) return "";
  return is_window_open(policy.windows, clock(), utc_offset_s_) ? "" : "waits for its maintenance window";
}

// The candidate's; also when its rollout is paused. Without a gate heard since the start it goes on: it was admitted
// when it began.
bool Engine::may_go_on(Stage stage) {
  const auto hash = state_.revisions.candidate->info.manifest;
  const auto gate = gates_.find(hash);
  if (gate != gates_.end() && broken_gates_.contains(hash)) {
    note_pause(std::string(kWaitsForGate));
    return false;
  }
  if (gate != gates_.end() && gate->second.state != wire::GateState::open) {
    note_pause(std::string(kWaitsForResume));
    return false;
  }
  auto text = hindrance(*candidate_, hash, stage);
  if (text == pause_said_) {
    if (state_.permission.waits == kWaitsForGate || state_.permission.waits == kWaitsForResume) note_pause(text);
    return text.empty();
  }
  pause_said_ = text;
  note_pause(text);
  log(5, "release " + candidate_->release + (text.empty() ? " goes on" : " " + text));
  report(about_candidate(text.empty() ? step_of(state_.phase) : wire::Step::waiting, Code::ok, pause_said_));
  return pause_said_.empty();
}

void Engine::note_pause(const std::string& text) {
  const bool newer = !state_.permission.waits_manifest.is_zero() &&
                     state_.permission.waits_manifest != state_.revisions.candidate->info.manifest;
  if (!newer) note_waits(text);
}

void Engine::note_waits(const std::string& text) {
  if (state_.permission.waits == text) return;
  state_.permission.waits = text;
  dirty_ = true;
}

std::uint32_t Engine::next_attempt(const Hash256& hash) const noexcept {
  if (state_.revisions.candidate && state_.revisions.candidate->info.manifest == hash) return state_.attempt.number + 1;
  const auto* before = outcome_of(hash);
  return before == nullptr ? 1 : before->attempt + 1;
}

bool Engine::has_turn(const Hash256& hash) const noexcept {
  return state_.permission.start_rollout == hash.prefix64() && state_.permission.start_attempt == next_attempt(hash);
}

// For the next attempt at a release that is admitted and possible here. Otherwise it is told once what it waits for.
bool Engine::may_start(const wire::Manifest& manifest, const Hash256& hash) {
  auto text = hindrance(manifest, hash, Stage::start);
  const bool asks = text.empty() && is_paced(manifest.policy) && !has_turn(hash) && !is_brought(hash);
  if (text.empty() && !asks) {
    if (state_.permission.waits_manifest == hash) {
      state_.permission.waits_manifest = {};
      note_waits("");
    }
    return true;
  }
  if (asks) text = "waits for its turn";
  const auto attempt = next_attempt(hash);
  const bool told = state_.permission.waits_manifest == hash && state_.permission.waits_attempt == attempt &&
                    state_.permission.waits_asks == asks && state_.permission.waits == text;
  if (told) return false;
  if (state_.permission.waits_manifest != hash)
    give_up_waiting(Code::stale, "superseded by release " + manifest.release);
  state_.permission.waits_manifest = hash;
  state_.permission.waits_attempt = attempt;
  state_.permission.waits_asks = asks;
  note_waits(text);
  dirty_ = true;
  log(5, "release " + manifest.release + " " + text);
  wire::Report waiting;
  waiting.rollout = hash;
  waiting.attempt = attempt;
  waiting.step = wire::Step::waiting;
  waiting.reason = std::move(text);
  waiting.asks_start = asks;
  report(std::move(waiting));
  asked_report_ = state_.reports.last_report;
  return false;
}

void Engine::give_up_waiting(Code code, const std::string& reason) {
  if (state_.permission.waits_manifest.is_zero()) return;
  wire::Report ending;
  ending.rollout = state_.permission.waits_manifest;
  ending.attempt = stop_waiting();
  ending.step = wire::Step::failed;
  ending.code = code;
  ending.reason = reason + " before it began";
  report(std::move(ending));
}

std::uint32_t Engine::stop_waiting() {
  if (state_.permission.start_rollout == state_.permission.waits_manifest.prefix64())
    state_.permission.start_rollout = 0;
  state_.permission.waits_manifest = {};
  state_.permission.waits_asks = false;
  note_waits("");
  dirty_ = true;
  return state_.permission.waits_attempt;
}

void Engine::check_waiting(const std::string& reason) {
  const auto& hash = state_.permission.waits_manifest;
  if (hash.is_zero() || (state_.revisions.candidate && state_.revisions.candidate->info.manifest == hash)) return;
  const auto* gate = gate_of(hash);
  if (gate != nullptr && (gate->state == wire::GateState::aborted || gate->state == wire::GateState::reverted)) {
    return give_up_waiting(Code::refused, "the rollout was ended");
  }
  const auto offered = std::ranges::find_if(heard_, [&](const auto& entry) { return entry.second->hash == hash; });
  if (offered == heard_.end()) {
    if (!reason.empty()) give_up_waiting(Code::stale, reason);
    return;
  }
  const auto& manifest = offered->second->manifest;
  if (manifest.expires.value != 0 && clock() >= manifest.expires) give_up_waiting(Code::expired, "the release expired");
}

void Engine::on_turn(const wire::Ack& ack) {
  // Given before the device asked last, it belongs to a question that was given up: the broker counts on it no more.
  if (ack.sequence < asked_report_) return;
  if (ack.start_rollout == 0) return;
  // Only what was asked for, and is still wanted: the broker counts a turn that was given up as over.
  const bool asked = state_.permission.waits_asks && state_.permission.waits_manifest.prefix64() == ack.start_rollout &&
                     state_.permission.waits_attempt == ack.start_attempt;
  if (!asked ||
      (state_.permission.start_rollout == ack.start_rollout && state_.permission.start_attempt == ack.start_attempt))
    return;
  state_.permission.start_rollout = ack.start_rollout;
  state_.permission.start_attempt = ack.start_attempt;
  dirty_ = true;
  consider();
}

void Engine::on(const OwnerInstruction& event) {
  owner_ = event;
  look_again();
}

void Engine::on(const LocalTime& event) {
  utc_offset_s_ = event.utc_offset_s;
  look_again();
}

// Something that may stand in the way has changed.
void Engine::look_again() {
  consider();
  advance();
  try_if_allowed();
}

std::optional<MonotonicMs> Engine::window_deadline() const {
  const wire::Manifest* manifest = nullptr;
  if (!state_.permission.waits_manifest.is_zero()) manifest = manifest_of(state_.permission.waits_manifest);
  if (manifest == nullptr && candidate_ && !pause_said_.empty()) manifest = &*candidate_;
  if (manifest == nullptr) return std::nullopt;
  const auto wait = ms_until_window(manifest->policy.windows, clock(), utc_offset_s_);
  if (!wait || *wait == 0) return std::nullopt;
  return now_.monotonic + *wait;
}

// --- taken back ---------------------------------------------------------------------------------------------

// The rollout of what runs was taken back, and its manifest allows that: to the revision before it, unless that has
// failed here.
void Engine::go_back_if_told() {
  if (state_.phase != Phase::idle || !state_.revisions.current || !current_) return;
  const auto hash = state_.revisions.current->info.manifest;
  const auto* gate = gate_of(hash);
  if (gate == nullptr || gate->state != wire::GateState::reverted || !current_->policy.revert_allowed) return;
  auto before = release_before();
  if (!before) {
    auto refusal = report_as_it_stands(hash);
    refusal.code = Code::refused;
    refusal.reason = "release " + state_.revisions.current->info.release + " is to be taken back, but " +
                     before.error().message + ": publish the older content as a new release";
    return say_once("revert", hash, std::move(refusal));
  }
  go_back(std::move(*before), gate->retry_epoch, Trigger::taken_back, Code::refused, "taken back by its rollout");
}

Result<Engine::Before> Engine::release_before() const {
  auto before = state_.revisions.previous ? manifest_in(state_.revisions.previous_manifest) : std::nullopt;
  if (!before) return fail(Code::not_found, "the one before it is not on the device any more");
  const auto* outcome = outcome_of(state_.revisions.previous->info.manifest);
  if (outcome != nullptr && outcome->step != wire::Step::committed)
    return fail(Code::refused, "the one before it has failed here");
  return Before{*state_.revisions.previous, state_.revisions.previous_manifest, std::move(*before)};
}

std::optional<Engine::Before> Engine::factory_release() const {
  if (!facts_.factory || is_factory(state_.revisions.current)) return std::nullopt;
  auto manifest = manifest_in(facts_.factory_manifest);
  const auto* outcome = outcome_of(facts_.factory->info.manifest);
  if (!manifest || (outcome != nullptr && outcome->step != wire::Step::committed)) return std::nullopt;
  return Before{*facts_.factory, facts_.factory_manifest, std::move(*manifest)};
}

void Engine::go_back(Before before, std::uint32_t retry_epoch, Trigger trigger, Code code, std::string reason) {
  const auto* own = outcome_of(state_.revisions.current->info.manifest);
  state_.attempt.number = state_.attempt.first = own == nullptr ? 1 : own->attempt;
  state_.attempt.retry_epoch = retry_epoch;
  state_.attempt.bytes_planned = state_.attempt.bytes_fetched = state_.attempt.bytes_full = state_.attempt.bytes_spent =
      state_.attempt.bytes_before = 0;
  state_.attempt.packs.clear();
  state_.revisions.candidate = std::exchange(state_.revisions.current, std::move(before.record));
  state_.revisions.candidate_manifest = std::exchange(state_.revisions.current_manifest, std::move(before.envelope));
  state_.revisions.previous.reset();
  state_.revisions.previous_manifest.clear();
  candidate_ = std::exchange(current_, std::move(before.manifest));
  switch_started_ = now_.monotonic;
  emit(PointCurrent{state_.revisions.current->number, 0});
  stops_.clear();
  roll_back(trigger, code, std::move(reason));
}

// --- groups said from afar --------------------------------------------------------------------------------

void Engine::on_assignment(ByteView payload) {
  if (payload.empty() || payload.size() > limits::kMessageBytesMax) return;
  const auto topic = topics_.device(facts_.device, wire::TopicKind::device_assignment);
  unverified_.erase(topic);
  const auto taken = take_assignment(payload);
  if (taken) return;
  log(4, "an assignment of groups is not taken: " + taken.error().message);
  const auto code = taken.error().code;
  if (code == Code::untrusted_key || code == Code::bad_signature) unverified_[topic] = to_bytes(payload);
}

Status Engine::take_assignment(ByteView payload) {
  if (std::ranges::equal(payload, state_.assignment)) return {};
  INSTAR_TRY(const auto envelope, trust_.open_assignment(payload));
  INSTAR_TRY(const auto assignment, wire::decode_assignment(envelope.payload));
  if (assignment.device != facts_.device) return fail(Code::refused, "it is of device " + assignment.device.str());
  if (const auto before = assignment_in(state_.assignment); before && assignment.issued <= before->issued) {
    return fail(Code::stale, "it is older than the one that is obeyed");
  }
  // Who sends a device back to its own configuration must be able to reach it there.
  for (const auto& group : assignment.groups.empty() ? facts_.groups : assignment.groups) {
    auto allowed = trust_.allows_assignment(envelope, group);
    if (!allowed) return fail(with_context(std::move(allowed.error()), "group " + group.str()));
  }
  state_.assignment = to_bytes(payload);
  groups_ = assignment.groups.empty() ? facts_.groups : assignment.groups;
  note_time(assignment.issued);
  dirty_ = true;
  std::string names;
  for (const auto& group : groups_) names += (names.empty() ? "" : ", ") + group.str();
  log(5, "the groups of this device are now: " + names);
  // What was heard on topics that are no longer ours does not count any more.
  const auto is_not_ours = [&](const auto& entry) {
    const auto topic = topics_.parse(entry.first);
    return !topic || !hears(topic->group);
  };
  std::erase_if(heard_, is_not_ours);
  std::erase_if(unverified_, is_not_ours);
  check_waiting("the release is not for the groups of this device any more");
  emit(Resubscribe{});
  if (connected_) say_hello();
  consider();
  return {};
}

std::optional<wire::Assignment> Engine::assignment_in(const Bytes& envelope_bytes) {
  if (envelope_bytes.empty()) return std::nullopt;
  const auto envelope = trust::parse_envelope(envelope_bytes);
  if (!envelope) return std::nullopt;
  auto assignment = wire::decode_assignment(envelope->payload);
  if (!assignment) return std::nullopt;
  return std::move(*assignment);
}

}  // namespace instar::revision
