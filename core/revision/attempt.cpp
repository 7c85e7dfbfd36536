// One release on this device, from the decision to go for it to the end of its last attempt.
#include <algorithm>

#include "core/artifact/plan.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/revision/engine.hpp"
#include "core/revision/requirements.hpp"

namespace instar::revision {
namespace {

// Flash that the containers may count on: with less than this free, what ended attempts have left goes at once.
constexpr std::uint64_t kContainersFreeBytes = std::uint64_t{2} << 20;

std::uint64_t full_bytes(const wire::Artifact& artifact) noexcept {
  const auto full = std::ranges::find(artifact.packs, artifact::PackKind::full, &wire::Pack::kind);
  return full == artifact.packs.end() ? 0 : full->head_bytes + full->body_bytes;
}

const wire::Pack* find_pack(const wire::Artifact& artifact, const Hash256& id) noexcept {
  const auto found = std::ranges::find(artifact.packs, id, &wire::Pack::id);
  return found == artifact.packs.end() ? nullptr : &*found;
}

std::vector<artifact::PackOffer> offers_of(const wire::Artifact& artifact) {
  std::vector<artifact::PackOffer> offers;
  for (const auto& pack : artifact.packs) {
    offers.push_back({pack.kind, pack.id, pack.base, pack.format, pack.head_bytes, pack.body_bytes, pack.memory_bytes,
                      pack.body_count});
  }
  return offers;
}

RevisionRecord record_of(std::uint32_t number, const ReceivedManifest& heard) {
  RevisionRecord record{number,
                        {heard.manifest.product, heard.manifest.release, heard.manifest.sequence, heard.hash, {}}};
  std::ranges::transform(heard.manifest.artifacts, std::back_inserter(record.info.artifacts), &wire::Artifact::id);
  return record;
}

// The same bytes would fail in the same way: another attempt is of no use.
bool is_permanent(Code code) noexcept {
  return code == Code::malformed || code == Code::too_large || code == Code::unsupported || code == Code::refused ||
         code == Code::no_space;
}

}  // namespace

artifact::Holdings Engine::holdings() const {
  artifact::Holdings holdings;
  holdings.memory_bytes = facts_.memory_bytes / 2;
  holdings.delta_decoder = true;
  for (const auto* record : {&state_.revisions.current, &state_.revisions.previous, &facts_.factory}) {
    if (*record)
      holdings.artifacts.insert(holdings.artifacts.end(), (*record)->info.artifacts.begin(),
                                (*record)->info.artifacts.end());
  }
  return holdings;
}

Result<std::vector<PackChoice>> Engine::choose_packs(const wire::Manifest& manifest) const {
  const auto held = holdings();
  std::vector<PackChoice> choices;
  for (const auto& artifact : manifest.artifacts) {
    const auto offers = offers_of(artifact);
    const auto usable = artifact::usable_packs(offers, held);
    if (usable.empty()) {
      return fail(Code::unsupported, "none of the " + std::to_string(offers.size()) + " packs of artifact " +
                                         artifact.id.short_hex() +
                                         " can be used here (format or memory); publish one that can");
    }
    choices.push_back({artifact.id, offers[usable.front().offer].id});
  }
  return choices;
}

// What the owner brings has no gate: it counts as of the last attempt.
std::uint32_t Engine::retry_epoch_of(const Hash256& hash) const noexcept {
  if (const auto gate = gates_.find(hash); gate != gates_.end()) return gate->second.retry_epoch;
  const auto* before = outcome_of(hash);
  return before == nullptr ? 0 : before->retry_epoch;
}

void Engine::begin(const ReceivedManifest& heard) {
  if (is_brought(heard.hash)) brought_begun_ = true;
  const auto epoch = retry_epoch_of(heard.hash);
  const auto possible = check_requirements(heard.manifest, facts_, free_bytes_, clock());
  if (!possible && possible.error().code == Code::no_space && makes_room_first(heard.manifest.release)) return;
  if (!possible) return refuse_release(heard, epoch, possible.error());
  const auto choices = choose_packs(heard.manifest);
  if (!choices) return refuse_release(heard, epoch, choices.error());
  const auto fits = is_brought(heard.hash) ? Status() : check_byte_budget(heard.manifest, *choices);
  if (!fits) return refuse_release(heard, epoch, fits.error());
  if (state_.phase == Phase::waiting) overtake(heard);
  if (!may_start(heard.manifest, heard.hash)) return;
  if (state_.phase == Phase::idle) return take_candidate(heard, *choices, Trigger::admitted);
  const std::string reason = "superseded by release " + heard.manifest.release + " before this device had switched";
  log(5, "release " + state_.revisions.candidate->info.release + " is " + reason);
  stop_attempt(Code::stale, reason);
  take_candidate(heard, *choices, Trigger::superseded);
}

// The least that the chosen packs will cost: of a dedupe pack its head, of which the device learns the rest.
Status Engine::check_byte_budget(const wire::Manifest& manifest, const std::vector<PackChoice>& choices) const {
  const auto budget = manifest.policy.device_bytes_max;
  if (budget == 0) return {};
  std::uint64_t least = 0;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const auto* pack = find_pack(manifest.artifacts[i], choices[i].pack);
    INSTAR_ASSERT(pack != nullptr);
    least += pack->head_bytes + (pack->kind == artifact::PackKind::dedupe ? 0 : pack->body_bytes);
  }
  if (least <= budget) return {};
  return fail(Code::refused, "the cheapest way costs " + std::to_string(least) +
                                 " bytes, the release's budget for a device is " + std::to_string(budget) +
                                 ": publish with a larger one, or a delta from what runs here");
}

// What waits for its next attempt makes way at once, though the newer release may have to wait itself; what it holds
// stays for that one.
void Engine::overtake(const ReceivedManifest& heard) {
  const std::string reason = "superseded by release " + heard.manifest.release + " before this device had switched";
  log(5, "release " + state_.revisions.candidate->info.release + " is " + reason);
  stop_attempt(Code::stale, reason);
  forget_candidate();
  enter(Trigger::overtaken);
}

void Engine::use_new_revision() {
  state_.revisions.candidate->number = state_.revisions.next_number++;
  state_.revisions.numbers.push_back(state_.revisions.candidate->number);
}

void Engine::take_candidate(const ReceivedManifest& heard, const std::vector<PackChoice>& choices, Trigger trigger) {
  give_up_waiting(Code::stale, "superseded by release " + heard.manifest.release);
  const auto* before = outcome_of(heard.hash);
  state_.revisions.candidate = record_of(0, heard);
  use_new_revision();
  state_.revisions.candidate_manifest = heard.envelope;
  candidate_ = heard.manifest;
  state_.attempt.number = before == nullptr ? 1 : before->attempt + 1;
  state_.attempt.first = state_.attempt.number;
  state_.attempt.retry_epoch = retry_epoch_of(heard.hash);
  state_.history.highest_sequence = std::max(state_.history.highest_sequence, heard.manifest.sequence);
  state_.attempt.packs.clear();
  state_.attempt.bytes_full = 0;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    state_.attempt.packs.push_back(choices[i].pack);
    state_.attempt.bytes_full += full_bytes(heard.manifest.artifacts[i]);
  }
  note_pack_kind();
  state_.attempt.bytes_planned = state_.attempt.bytes_fetched = state_.attempt.bytes_spent =
      state_.attempt.bytes_before = 0;
  state_.attempt.fallback_reason.clear();
  state_.attempt.planned_exact = state_.attempt.staging_reported = false;
  state_.trial.starts = 0;
  trimmed_ = false;
  enter(trigger);
  log(5, "going for release " + heard.manifest.release + " (sequence " + std::to_string(heard.manifest.sequence) +
             ", attempt " + std::to_string(state_.attempt.number) + ") as revision " +
             std::to_string(state_.revisions.candidate->number));
  open_staging();
}

// Reports name one kind: that of the largest artifact.
void Engine::note_pack_kind() {
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < state_.attempt.packs.size(); ++i) {
    const auto& artifact = candidate_->artifacts[i];
    const auto bytes = full_bytes(artifact);
    const auto* pack = find_pack(artifact, state_.attempt.packs[i]);
    INSTAR_ASSERT(pack != nullptr);
    if (i == 0 || bytes > largest) state_.attempt.pack_kind = static_cast<std::uint8_t>(pack->kind);
    largest = std::max(largest, bytes);
  }
}

void Engine::open_staging() {
  close_session();
  packs_.clear();
  refusals_.clear();
  finish_asked_ = false;
  staged_ = false;
  pause_said_.clear();
  note_waits("");
  session_.set_rate(candidate_->policy.rate_bytes_per_s_max);
  fetch_after_.reset();
  retry_at_.reset();
  retry_due_ = false;
  progress_ = now_.monotonic;
  OpenStaging open;
  open.revision = state_.revisions.candidate->number;
  open.manifest = *candidate_;
  for (std::size_t i = 0; i < candidate_->artifacts.size(); ++i) {
    const auto& artifact = candidate_->artifacts[i];
    const auto* pack = i < state_.attempt.packs.size() ? find_pack(artifact, state_.attempt.packs[i]) : nullptr;
    if (pack == nullptr)
      return end_attempt(Error{Code::internal, "the remembered pack is not in the manifest"}, wire::Step::failed, true);
    open.choices.push_back({artifact.id, pack->id});
    PackFetch fetch;
    fetch.pack = pack->id;
    fetch.head_count = static_cast<std::uint32_t>(pack->head.size());
    fetch.head_bytes = pack->head_bytes;
    fetch.likely_bytes = pack->head_bytes + (pack->kind == artifact::PackKind::dedupe ? 0 : pack->body_bytes);
    packs_.push_back(std::move(fetch));
  }
  if (state_.revisions.current) open.bases.push_back(state_.revisions.current->number);
  if (state_.revisions.previous) open.bases.push_back(state_.revisions.previous->number);
  if (facts_.factory && !is_factory(state_.revisions.current) && !is_factory(state_.revisions.previous))
    open.bases.push_back(facts_.factory->number);
  for (const auto number : disposable_revisions()) open.bases.push_back(number);
  emit(std::move(open));
}

void Engine::retry() {
  ++state_.attempt.number;
  state_.attempt.bytes_before += state_.attempt.bytes_fetched;
  state_.attempt.bytes_planned = state_.attempt.bytes_fetched = state_.attempt.bytes_spent = 0;
  state_.attempt.planned_exact = state_.attempt.staging_reported = false;
  state_.trial.starts = 0;
  trimmed_ = false;
  enter(Trigger::retry_due);
  log(5,
      "attempt " + std::to_string(state_.attempt.number) + " at release " + state_.revisions.candidate->info.release);
  open_staging();
}

bool Engine::attempts_left() const noexcept {
  return state_.attempt.number - state_.attempt.first + 1 < std::max<std::uint32_t>(candidate_->policy.attempts_max, 1);
}

void Engine::record_candidate_outcome(wire::Step step, Code code) {
  ReceivedManifest heard;
  heard.hash = state_.revisions.candidate->info.manifest;
  heard.manifest.sequence = state_.revisions.candidate->info.sequence;
  record_outcome(heard, state_.attempt.number, state_.attempt.retry_epoch, step, code);
}

// The attempt is over, the running revision is what it was before.
void Engine::end_attempt(const Error& error, wire::Step step, bool fresh_revision) {
  const bool rolled_back = state_.phase == Phase::rolling_back;
  const bool taken_back = rolled_back && error.code == Code::refused;
  const bool again = attempts_left() && !taken_back && (rolled_back || !is_permanent(error.code));
  auto ending = about_candidate(step, error.code, error.message);
  ending.again = again;
  if (rolled_back) {
    ending.downtime_ms = downtime_ms_;
    ending.switch_ms = static_cast<std::uint32_t>(std::max<std::int64_t>(now_.monotonic - switch_started_, 0));
  }
  log(4, "release " + state_.revisions.candidate->info.release + ", attempt " + std::to_string(state_.attempt.number) +
             ": " + std::string(wire::step_name(step)) + " (" + std::string(code_name(error.code)) +
             "): " + error.message);
  record_candidate_outcome(step, error.code);
  report(std::move(ending));
  close_session();
  if (!again) {
    const bool damaged = fresh_revision && !rolled_back;
    drop_candidate(damaged ? Leftover::remove : Leftover::keep);
    return enter(rolled_back ? Trigger::back_for_good : Trigger::attempts_spent);
  }
  if (fresh_revision) use_new_revision();
  retry_at_ = now_.monotonic + std::int64_t{candidate_->policy.backoff_s} * 1'000;
  retry_due_ = false;
  enter(rolled_back ? Trigger::back_and_waits : Trigger::attempt_failed);
}

// The attempt ends without having failed. One that is waited after has ended already, and has said so; the next one
// will not begin.
void Engine::stop_attempt(Code code, const std::string& reason) {
  if (state_.phase == Phase::waiting) {
    ++state_.attempt.number;
    state_.attempt.bytes_planned = state_.attempt.bytes_fetched = state_.attempt.bytes_spent = 0;
  }
  if (state_.revisions.candidate->info.manifest == state_.permission.waits_manifest)
    state_.permission.waits_manifest = {};
  if (state_.permission.start_rollout == state_.revisions.candidate->info.manifest.prefix64())
    state_.permission.start_rollout = 0;
  record_candidate_outcome(wire::Step::failed, code);
  report(about_candidate(wire::Step::failed, code, reason));
}

// Of what ended attempts leave one revision stays: the last that got any content.
void Engine::drop_candidate(Leftover leftover) {
  const auto number = state_.revisions.candidate->number;
  const bool has_something =
      state_.attempt.bytes_before > 0 || !has_heads_only() || state_.phase == Phase::rolling_back;
  forget_candidate();
  if (leftover == Leftover::remove) return keep_one_leftover(std::nullopt);
  if (has_something) return keep_one_leftover(number);
  auto others = disposable_revisions();
  std::erase(others, number);
  keep_one_leftover(others.empty() ? std::nullopt : std::optional(others.back()));
}

void Engine::keep_one_leftover(std::optional<std::uint32_t> kept) {
  for (const auto number : disposable_revisions()) {
    if (number != kept) remove_revision(number);
  }
}

// A release asks for more room than there is, and what ended attempts have left takes some: that goes, and FreeSpace
// tells of it.
bool Engine::makes_room_first(const std::string& release) {
  if (room_awaited_) return true;
  if (disposable_revisions().empty()) return false;
  keep_one_leftover(std::nullopt);
  room_awaited_ = true;
  log(5, "release " + release + " needs room: what earlier attempts have left is removed first");
  return true;
}

void Engine::on(const FreeSpace& event) {
  free_bytes_ = event.bytes;
  if (free_bytes_ < kContainersFreeBytes && state_.phase == Phase::idle && state_.permission.waits_manifest.is_zero())
    keep_one_leftover(std::nullopt);
  if (std::exchange(room_awaited_, false)) consider();
}

void Engine::forget_candidate() {
  close_session();
  packs_.clear();
  retry_at_.reset();
  retry_due_ = false;
  state_.revisions.candidate.reset();
  state_.revisions.candidate_manifest.clear();
  state_.attempt.packs.clear();
  pause_said_.clear();
  note_waits("");
  staged_ = false;
  candidate_.reset();
}

// The number stays in the list until the next call: a crash before the folder is gone must not forget it.
void Engine::remove_revision(std::uint32_t number) {
  emit(RemoveRevision{number});
  removing_.push_back(number);
  dirty_ = true;
}

std::vector<std::uint32_t> Engine::disposable_revisions() const {
  const auto is = [](const std::optional<RevisionRecord>& record, std::uint32_t number) {
    return record && record->number == number;
  };
  std::vector<std::uint32_t> numbers;
  for (const auto number : state_.revisions.numbers) {
    if (is(state_.revisions.current, number) || is(state_.revisions.previous, number) ||
        is(state_.revisions.candidate, number) || is(facts_.factory, number))
      continue;
    if (std::ranges::find(removing_, number) == removing_.end()) numbers.push_back(number);
  }
  return numbers;
}

// What ended attempts have left, first without what the candidate shares with it; after that, where the owner has said
// so, the previous revision. Never the current or the factory one.
bool Engine::make_room() {
  auto numbers = disposable_revisions();
  if (!numbers.empty() && !std::exchange(trimmed_, true)) {
    TrimRevision trim;
    for (const auto& artifact : candidate_->artifacts) trim.keep.push_back(artifact.id);
    for (const auto number : numbers) {
      trim.revision = number;
      emit(trim);
    }
    return true;
  }
  if (numbers.empty() && facts_.previous_makes_room && state_.revisions.previous &&
      !is_factory(state_.revisions.previous) && (may_cost_more() || !needs_previous())) {
    numbers.push_back(state_.revisions.previous->number);
    state_.revisions.previous.reset();
    state_.revisions.previous_manifest.clear();
    if (state_.revisions.current) emit(PointCurrent{state_.revisions.current->number, 0});
  }
  for (const auto number : numbers) remove_revision(number);
  return !numbers.empty();
}

bool Engine::may_cost_more() const noexcept {
  return !facts_.metered || candidate_->policy.metered_fallback;
}

bool Engine::needs_previous() const {
  const auto has = [](const std::optional<RevisionRecord>& record, const Hash256& artifact) {
    return record && std::ranges::find(record->info.artifacts, artifact) != record->info.artifacts.end();
  };
  for (std::size_t i = 0; i < state_.attempt.packs.size(); ++i) {
    const auto* pack = find_pack(candidate_->artifacts[i], state_.attempt.packs[i]);
    if (pack != nullptr && pack->kind == artifact::PackKind::delta && has(state_.revisions.previous, pack->base) &&
        !has(state_.revisions.current, pack->base) && !has(facts_.factory, pack->base)) {
      return true;
    }
  }
  return false;
}

// What the delta cannot make comes from another pack, if that may be: never silently, and on a paid link never without
// leave.
void Engine::on(const PackUnusable& event) {
  if (!is_candidate(event.revision) || (state_.phase != Phase::fetching && state_.phase != Phase::staging)) return;
  const auto chosen = std::ranges::find(state_.attempt.packs, event.pack);
  if (chosen == state_.attempt.packs.end())
    return log(4, "the stager speaks of a pack that was not chosen: " + event.pack.short_hex());
  const auto index = static_cast<std::size_t>(chosen - state_.attempt.packs.begin());
  const auto& artifact = candidate_->artifacts[index];
  artifact::Missing missing = event.missing;
  if (missing.files == 0) missing = {artifact.entry_count, artifact.content_bytes};
  const auto others = artifact::repair_packs(offers_of(artifact), holdings(), artifact.content_bytes, missing);
  if (others.empty()) {
    return end_attempt(Error{Code::unsupported, event.error.message + "; the release has no other pack of artifact " +
                                                    artifact.id.short_hex() +
                                                    " that this device can use: publish one that is full or dedupe"},
                       wire::Step::failed, false);
  }
  const auto& pack = artifact.packs[others.front().offer];
  const std::string kind(artifact::pack_kind_name(pack.kind));
  if (!may_cost_more()) {
    return end_attempt(
        Error{Code::refused, event.error.message + "; the " + kind + " pack would bring what is missing for about " +
                                 std::to_string(others.front().bytes_min) + " bytes, " +
                                 std::to_string(others.front().bytes_max) +
                                 " at most, and this link is metered: put the base right, or publish with "
                                 "policy.metered_fallback"},
        wire::Step::failed, false);
  }
  if (event.now) return take_pack(index, pack, event);
  log(4, event.error.message + "; the delta brings everything else, then the " + kind +
             " pack brings what is missing: about " + std::to_string(others.front().bytes_min) + " bytes more");
}

void Engine::take_pack(std::size_t artifact, const wire::Pack& pack, const PackUnusable& event) {
  const std::string kind(artifact::pack_kind_name(pack.kind));
  state_.attempt.fallback_reason = clean_text(event.error.message) + "; " +
                                   (event.missing.files == 0 ? "the" : "what is missing comes from the") + " " + kind +
                                   " pack" + (event.missing.files == 0 ? " is used instead" : "");
  log(4, "release " + state_.revisions.candidate->info.release + ": " + state_.attempt.fallback_reason);
  state_.attempt.packs[artifact] = pack.id;
  if (event.missing.files == 0) note_pack_kind();
  // What follows is planned and announced anew, on top of what the attempt has cost already.
  state_.attempt.bytes_spent = state_.attempt.bytes_fetched;
  state_.attempt.bytes_planned = 0;
  state_.attempt.planned_exact = false;
  dirty_ = true;
  open_staging();
}

void Engine::on(const StagingDone& event) {
  if (!is_candidate(event.revision)) return;
  if (state_.phase != Phase::fetching && state_.phase != Phase::staging) return;
  close_session();
  staged_ = true;
  try_if_allowed();
}

bool Engine::has_heads_only() const noexcept {
  std::uint64_t heads = 0;
  for (const auto& pack : packs_) heads += pack.head_bytes;
  return state_.attempt.bytes_fetched <= heads;
}

void Engine::on(const StagingFailed& event) {
  if (!is_candidate(event.revision)) return;
  if (state_.phase != Phase::fetching && state_.phase != Phase::staging) return;
  if (event.error.code == Code::no_space && make_room()) {
    log(5, "making room for revision " + std::to_string(event.revision) + ": " + event.error.message);
    return open_staging();
  }
  auto error = event.error;
  if (error.code == Code::no_space && state_.revisions.previous && !is_factory(state_.revisions.previous) &&
      !facts_.previous_makes_room)
    error.message += "; or let the revision before make room (previous_makes_room = yes on the device)";
  const bool untouched = has_heads_only() && (error.code == Code::no_space || error.code == Code::refused);
  const bool fresh = error.code == Code::corrupt || error.code == Code::malformed;
  end_attempt(error, untouched ? wire::Step::refused : wire::Step::failed, fresh);
}

}  // namespace instar::revision
