#include "core/revision/engine.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision {
namespace {

// Between two tries to start what should run, or to switch back: doubled up to this.
constexpr std::int64_t kPauseMsMax = 300'000;
// Hellos out of turn come no more often than this.
constexpr std::int64_t kHelloMsMin = 5'000;

}  // namespace

wire::Step step_of(Phase phase) noexcept {
  switch (phase) {
    case Phase::idle: return wire::Step::idle;
    case Phase::waiting: return wire::Step::waiting;
    case Phase::fetching: return wire::Step::fetching;
    case Phase::staging: return wire::Step::staging;
    case Phase::trying:
    case Phase::rolling_back: return wire::Step::trying;
    case Phase::committing: return wire::Step::committed;
  }
  return wire::Step::idle;
}

std::optional<wire::Manifest> manifest_in(const Bytes& envelope_bytes) {
  if (envelope_bytes.empty()) return std::nullopt;
  const auto envelope = trust::parse_envelope(envelope_bytes);
  if (!envelope) return std::nullopt;
  auto manifest = wire::decode_manifest(envelope->payload);
  if (!manifest) return std::nullopt;
  return std::move(*manifest);
}

Engine::Engine(DeviceFacts facts, trust::SecretKey key, wire::Topics topics, trust::TrustStore trust, DeviceState state)
    : facts_(std::move(facts)),
      key_(std::move(key)),
      topics_(std::move(topics)),
      trust_(std::move(trust)),
      state_(std::move(state)),
      reporter_(state_, key_, facts_.device),
      session_(facts_.window_bytes_max, facts_.piece_bytes_max) {}

void Engine::start(Now now, Effects& effects) {
  now_ = now;
  dirty_ = true;
  ++state_.boot;
  if (state_.permission.waits_manifest.is_zero()) state_.permission.waits.clear();
  // Which report asked is not kept: what comes in answer to the hello is the answer to it.
  asked_report_ = state_.reports.last_report;
  bytes_persisted_ = state_.attempt.bytes_fetched;
  candidate_ = manifest_in(state_.revisions.candidate_manifest);
  current_ = manifest_in(state_.revisions.current_manifest);
  groups_ = facts_.groups;
  if (const auto assignment = assignment_in(state_.assignment); assignment && !assignment->groups.empty())
    groups_ = assignment->groups;
  note_time(trust_.root().issued);
  if (state_.revisions.current)
    emit(PointCurrent{state_.revisions.current->number,
                      state_.revisions.previous ? state_.revisions.previous->number : 0});
  switch (restart_action(state_.phase)) {
    case RestartAction::run_current: emit_ensure_running(); break;
    case RestartAction::wait_again:
      emit_ensure_running();
      retry_at_ = now_.monotonic + std::int64_t{candidate_->policy.backoff_s} * 1'000;
      break;
    case RestartAction::reopen_staging:
      emit_ensure_running();
      open_staging();
      break;
    case RestartAction::try_again: start_try(true); break;
    case RestartAction::finish_commit:
      emit_ensure_running();
      finish_commit();
      break;
    case RestartAction::switch_back: emit_switch_back(); break;
  }
  // What an ended attempt has left is newer than what runs; what is older was on its way out.
  if (const auto left = disposable_revisions();
      !left.empty() && state_.phase == Phase::idle && state_.permission.waits_manifest.is_zero())
    keep_one_leftover(state_.revisions.current && left.back() < state_.revisions.current->number
                          ? std::nullopt
                          : std::optional(left.back()));
  finish(effects);
}

void Engine::handle(const Event& event, Now now, Effects& effects) {
  now_ = now;
  // What the last call asked for has been carried out by now: effects are done in order before the next event comes.
  for (const auto number : std::exchange(removing_, {})) std::erase(state_.revisions.numbers, number);
  if (state_.phase == Phase::committing) finish_commit();
  const bool was_busy = state_.phase != Phase::idle;
  std::visit([this](const auto& one) { on(one); }, event);
  // What runs may have been taken back while another release was under way.
  if (was_busy) go_back_if_told();
  finish(effects);
}

// Persist goes first, whatever was decided in which order.
void Engine::finish(Effects& effects) {
  if (dirty_) {
    dirty_ = false;
    ++state_.generation;
    bytes_persisted_ = state_.attempt.bytes_fetched;
    effects.emplace_back(Persist{encode_state(state_)});
  }
  std::ranges::move(out_, std::back_inserter(effects));
  out_.clear();
}

void Engine::on(const Connected& event) {
  static_cast<void>(event);
  connected_ = true;
  ++connect_count_;
  say_hello();
  reporter_.connected(now_.monotonic);
  for (auto& envelope : reporter_.take_due(now_.monotonic)) {
    emit(Publish{topics_.device(facts_.device, wire::TopicKind::device_report), std::move(envelope), 1, false});
  }
  close_session();
  session_.note_new_link();
  fetch_after_.reset();
  advance();
  judge();
}

void Engine::on(const Disconnected& event) {
  static_cast<void>(event);
  connected_ = false;
  reporter_.disconnected();
  close_session();
  if (state_.attempt.bytes_fetched != bytes_persisted_) dirty_ = true;
}

void Engine::on(const MessageArrived& event) {
  const auto topic = topics_.parse(event.topic);
  if (!topic) return;
  const bool mine = topic->device == facts_.device;
  switch (topic->kind) {
    case wire::TopicKind::root: return on_root(event.payload);
    case wire::TopicKind::group_manifest:
      if (hears(topic->group)) on_manifest(event.topic, topic->group, event.payload);
      return;
    case wire::TopicKind::group_gate:
      if (hears(topic->group)) on_gate(event.topic, topic->group, event.payload);
      return;
    case wire::TopicKind::device_chunk:
      if (mine) on_piece(event.payload);
      return;
    case wire::TopicKind::device_ack:
      if (mine) on_ack(event.payload);
      return;
    case wire::TopicKind::device_assignment:
      if (mine) on_assignment(event.payload);
      return;
    default: return;
  }
}

void Engine::on(const Ticked& event) {
  static_cast<void>(event);
  for (auto& envelope : reporter_.take_due(now_.monotonic)) {
    emit(Publish{topics_.device(facts_.device, wire::TopicKind::device_report), std::move(envelope), 1, false});
  }
  if (retry_at_ && now_.monotonic >= *retry_at_) {
    retry_at_.reset();
    retry_due_ = true;
  }
  check_waiting("");
  if (retry_due_ || !state_.permission.waits_manifest.is_zero()) consider();
  if (ensure_at_ && now_.monotonic >= *ensure_at_) emit_ensure_running();
  if (switch_back_at_ && now_.monotonic >= *switch_back_at_) emit_switch_back();
  tell_degraded();
  check_stall();
  advance();
  try_if_allowed();
  judge();
}

void Engine::on_ack(ByteView payload) {
  const auto ack = wire::decode_ack(payload);
  if (!ack) return log(4, "an ack cannot be read: " + ack.error().message);
  if (ack->code != Code::ok) {
    log(3, "the broker does not take this device's reports (" + std::string(code_name(ack->code)) +
               "): " + clean_text(ack->reason));
  }
  switch (reporter_.acked(*ack, now_.monotonic)) {
    case Reporter::Acked::nothing: break;
    case Reporter::Acked::progress: dirty_ = true; break;
    case Reporter::Acked::lost:
      if (now_.monotonic - hello_at_ < kHelloMsMin) break;
      log(4, "the broker knows this device's reports up to " + std::to_string(ack->sequence) +
                 " only: saying hello again");
      say_hello();
      break;
    case Reporter::Acked::moved:
      dirty_ = true;
      log(4, "the broker knows more reports of this device than it does itself (its state was lost): going on after " +
                 std::to_string(ack->sequence));
      say_hello();
      break;
  }
  if (ack->code == Code::ok) on_turn(*ack);
}

void Engine::say_hello() {
  hello_at_ = now_.monotonic;
  wire::Hello hello;
  hello.device = facts_.device;
  hello.key = key_.public_key();
  hello.product = facts_.product;
  hello.groups = groups_;
  hello.architecture = facts_.architecture;
  hello.kernel = facts_.kernel;
  hello.client_version = facts_.client_version;
  hello.memory_bytes = facts_.memory_bytes;
  hello.free_bytes = free_bytes_;
  hello.metered = facts_.metered;
  if (state_.revisions.current) hello.running = state_.revisions.current->info;
  if (state_.revisions.previous) hello.previous = state_.revisions.previous->info;
  // What is waited for goes before what came to an end earlier.
  const bool other =
      state_.revisions.candidate && state_.revisions.candidate->info.manifest != state_.permission.waits_manifest;
  if (!state_.permission.waits_manifest.is_zero() && !other) {
    hello.rollout = state_.permission.waits_manifest;
  } else if (state_.revisions.candidate) {
    hello.rollout = state_.revisions.candidate->info.manifest;
  } else if (!state_.history.outcomes.empty()) {
    hello.rollout = state_.history.outcomes.back().manifest;
  }
  if (!hello.rollout.is_zero()) {
    const auto stands = report_as_it_stands(hello.rollout);
    hello.step = stands.step;
    hello.attempt = stands.attempt;
    hello.asks_start = stands.asks_start;
  }
  hello.last_sequence = state_.reports.last_report;
  hello.acked_sequence = state_.reports.acked_report;
  hello.boot = state_.boot;
  hello.connect = connect_count_;
  hello.pack_formats = {artifact::kPackFormat, artifact::pack_capability(artifact::PackKind::delta)};
  hello.root_version = trust_.root().version;
  for (const auto format : facts_.image_formats) hello.image_formats.push_back(static_cast<std::uint8_t>(format));
  hello.handlers = facts_.handlers;
  hello.degraded = facts_.degraded;
  std::ranges::copy(degraded_, std::back_inserter(hello.degraded));
  emit(Publish{topics_.device(facts_.device, wire::TopicKind::device_hello),
               trust::seal(trust::Kind::hello, wire::encode(hello), key_), 1, false});
}

wire::Report Engine::report_as_it_stands(const Hash256& hash) const {
  wire::Report report;
  report.rollout = hash;
  report.step = wire::Step::waiting;
  if (state_.permission.waits_manifest == hash) {
    report.attempt = state_.permission.waits_attempt;
    report.asks_start = state_.permission.waits_asks;
  } else if (state_.revisions.candidate && state_.revisions.candidate->info.manifest == hash) {
    report.step = step_of(state_.phase);
    report.attempt = state_.attempt.number;
  } else if (const auto* outcome = outcome_of(hash); outcome != nullptr) {
    report.step = outcome->step;
    report.attempt = outcome->attempt;
  } else if (state_.revisions.current && state_.revisions.current->info.manifest == hash) {
    report.step = wire::Step::committed;
    report.attempt = 1;
  }
  return report;
}

wire::Report Engine::about_candidate(wire::Step step, Code code, std::string reason) const {
  INSTAR_ASSERT(state_.revisions.candidate.has_value());
  wire::Report report;
  report.rollout = state_.revisions.candidate->info.manifest;
  report.attempt = state_.attempt.number;
  report.step = step;
  report.code = code;
  report.reason = std::move(reason);
  report.bytes_planned = state_.attempt.bytes_planned;
  report.bytes_fetched = state_.attempt.bytes_fetched;
  report.bytes_full = state_.attempt.bytes_full;
  report.pack_kind = static_cast<artifact::PackKind>(state_.attempt.pack_kind);
  return report;
}

void Engine::report(wire::Report report) {
  report.device_time = now_.wall;
  if (state_.revisions.current) report.running = state_.revisions.current->info;
  const auto& envelope = reporter_.add(std::move(report), now_.monotonic);
  dirty_ = true;
  if (connected_) emit(Publish{topics_.device(facts_.device, wire::TopicKind::device_report), envelope, 1, false});
}

void Engine::log(int level, std::string message) {
  emit(Log{level, std::move(message)});
}

void Engine::enter(Trigger trigger) {
  const auto next = next_phase(state_.phase, trigger);
  INSTAR_ASSERT(next.has_value());
  state_.phase = *next;
  dirty_ = true;
}

// No single clock of a device is to be believed; none of these can be ahead of the truth without a signature.
WallMs Engine::clock() const noexcept {
  return std::max(now_.wall, state_.verified);
}

void Engine::note_time(WallMs time) {
  if (time <= state_.verified) return;
  state_.verified = time;
  dirty_ = true;
}

void Engine::emit_ensure_running() {
  ensure_at_.reset();
  if (!state_.revisions.current || !current_) return;
  if (state_.phase == Phase::trying || state_.phase == Phase::rolling_back) return;
  if (ensured_ && now_.monotonic - *ensured_ > kPauseMsMax) ensure_pause_ms_ = 0;
  ensured_ = now_.monotonic;
  ensure_pause_ms_ = std::min(std::max<std::int64_t>(ensure_pause_ms_ * 2, 1'000), kPauseMsMax);
  emit(EnsureRunning{state_.revisions.current->number, *current_});
}

std::optional<MonotonicMs> Engine::next_deadline() const {
  std::optional<MonotonicMs> earliest;
  const auto take = [&](const std::optional<MonotonicMs>& time) {
    if (time && (!earliest || *time < *earliest)) earliest = time;
  };
  if (state_.phase == Phase::committing) take(MonotonicMs{0});
  take(reporter_.next_deadline());
  take(retry_at_);
  take(fetch_after_);
  take(session_.quiet_deadline());
  take(session_.stall_deadline());
  take(ensure_at_);
  take(stops_.next_deadline());
  take(switch_back_at_);
  if (judge_) take(judge_->next_deadline());
  take(window_deadline());
  take(session_.credit_deadline());
  return earliest;
}

std::vector<std::pair<std::string, int>> Engine::subscriptions() const {
  std::vector<std::pair<std::string, int>> filters;
  const auto add = [&](std::string filter, int qos) {
    if (std::ranges::find(filters, filter, &std::pair<std::string, int>::first) == filters.end())
      filters.emplace_back(std::move(filter), qos);
  };
  add(topics_.root(), 1);
  for (const auto& own : groups_) {
    for (const auto& group : own.with_parents()) {
      add(topics_.manifest(group), 1);
      add(topics_.gate(group), 1);
    }
  }
  add(topics_.device(facts_.device, wire::TopicKind::device_chunk), 0);
  add(topics_.device(facts_.device, wire::TopicKind::device_ack), 1);
  add(topics_.device(facts_.device, wire::TopicKind::device_assignment), 1);
  return filters;
}

Machine::View Engine::view() const {
  Machine::View view;
  view.phase = phase_name(state_.phase);
  view.waits = state_.permission.waits;
  if (state_.revisions.current) {
    view.running = state_.revisions.current->info;
    view.current_revision = state_.revisions.current->number;
  }
  if (state_.revisions.previous) view.previous_revision = state_.revisions.previous->number;
  if (state_.revisions.candidate) view.candidate_revision = state_.revisions.candidate->number;
  view.revisions = {state_.revisions.numbers.begin(), state_.revisions.numbers.end()};
  view.revisions.insert({view.current_revision, view.previous_revision, view.candidate_revision});
  view.revisions.erase(0);
  view.bytes_fetched = state_.attempt.bytes_fetched;
  view.pending_reports = state_.reports.pending.size();
  view.last_report = state_.reports.last_report;
  return view;
}

}  // namespace instar::revision
