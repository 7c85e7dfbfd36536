#include "core/revision/engine.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/revision/state_codec.hpp"

namespace instar::revision {

Engine::Engine(DeviceFacts facts, trust::SecretKey key, wire::Topics topics, trust::TrustStore trust, DeviceState state,
               Anchor anchor)
    : generation_(state.generation),
      anchored_(std::move(anchor)),
      parts_(std::move(facts), std::move(key), std::move(topics), std::move(trust), std::move(state)),
      fetching_(parts_),
      choosing_(parts_, fetching_),
      trying_(parts_) {}

void Engine::start(Now now, Effects& effects) {
  parts_.out.begin(now);
  parts_.out.persist();
  static_cast<void>(parts_.time.note(now));
  parts_.hearing.begin(now);
  if (parts_.revisions.current()) parts_.out.emit(parts_.revisions.point_current());
  restart();
  // What an ended attempt has left is newer than what runs; what is older was on its way out.
  if (const auto left = parts_.revisions.disposable();
      !left.empty() && parts_.course.is(Phase::idle) && !parts_.permission.is_waiting()) {
    const bool is_older = left.back() < parts_.revisions.current_number();
    Room::keep_one_leftover(is_older ? std::nullopt : std::optional(left.back()), parts_.revisions, parts_.out);
  }
  finish(effects);
}

void Engine::restart() {
  switch (restart_action(parts_.course.phase())) {
    case RestartAction::run_current: return trying_.ensure_running();
    case RestartAction::wait_again: {
      trying_.ensure_running();
      const auto& policy = parts_.revisions.candidate_manifest()->policy;
      return parts_.attempt.pause_until(parts_.out.time() + std::int64_t{policy.backoff_s} * 1'000);
    }
    case RestartAction::reopen_staging: trying_.ensure_running(); return fetching_.open_staging();
    case RestartAction::try_again: return trying_.try_again();
    case RestartAction::finish_commit: trying_.ensure_running(); return finish_commit();
    case RestartAction::switch_back: return trying_.switch_back();
  }
}

void Engine::handle(const Event& event, Now now, Effects& effects) {
  parts_.out.begin(now);
  // What the last call asked for has been carried out by now: effects are done in order before the next event comes.
  parts_.revisions.forget_removed();
  if (parts_.course.is(Phase::committing)) finish_commit();
  const bool was_busy = !parts_.course.is(Phase::idle);
  const bool was_set = parts_.time.note(now);
  std::visit(
      [this](const auto& one) {
        if constexpr (requires { fetching_.on(one); }) {
          fetching_.on(one);
        } else if constexpr (requires { trying_.on(one); }) {
          trying_.on(one);
        } else {
          on(one);
        }
      },
      event);
  // What runs may have been taken back while another release was under way.
  if (was_busy) trying_.go_back_if_reverted();
  if (was_set) {
    look_at_early_assignment();
    choosing_.check_waiting("");
    look_again();
  }
  if (const auto complaint = parts_.hearing.complain(parts_.out.is_connected(), now))
    parts_.out.log(LogLevel::warning, *complaint);
  finish(effects);
}

// Persist goes first, whatever was decided in which order.
void Engine::finish(Effects& effects) {
  warn_of_expiry();
  if (parts_.out.must_persist()) {
    parts_.attempt.note_persisted();
    const auto state = parts_.state(++generation_);
    Persist persist{encode_state(state)};
    if (auto anchor = anchor_of(state); anchor != anchored_) {
      persist.anchor = encode_anchor(anchor);
      anchored_ = std::move(anchor);
    }
    effects.emplace_back(std::move(persist));
  }
  parts_.out.flush(effects);
}

void Engine::on(const Connected& event) {
  parts_.out.connected();
  parts_.inbox.chain().connected(parts_.out.time());
  parts_.say_hello();
  parts_.out.start_reports();
  parts_.out.send_due_reports();
  if (event.is_opened)
    parts_.transfer.note_opened(parts_.out.time());
  else
    parts_.transfer.note_new_link();
  fetching_.advance();
  trying_.judge();
}

void Engine::on(const Disconnected& event) {
  static_cast<void>(event);
  parts_.out.disconnected();
  parts_.inbox.chain().disconnected();
  parts_.transfer.close_session();
  if (parts_.attempt.has_uncounted()) parts_.out.persist();
  fetching_.prepare();
}

void Engine::on(const MessageArrived& event) {
  const auto topic = parts_.topics.parse(event.topic);
  if (!topic) return;
  const bool is_mine = topic->device == parts_.facts.device;
  switch (topic->kind) {
    case wire::TopicKind::root: return on_root(event.payload);
    case wire::TopicKind::root_version: return on_chained_root(topic->root_version, event.payload);
    case wire::TopicKind::group_manifest:
      if (parts_.inbox.is_ours(*topic)) on_manifest(event.topic, topic->group, event.payload);
      return;
    case wire::TopicKind::group_gate:
      if (parts_.inbox.is_ours(*topic)) on_gate(event.topic, event.payload);
      return;
    case wire::TopicKind::device_chunk:
      if (is_mine) fetching_.take_piece(event.payload);
      return;
    case wire::TopicKind::device_ack:
      if (is_mine) on_ack(event.payload);
      return;
    case wire::TopicKind::device_assignment:
      if (is_mine) on_assignment(event.payload);
      return;
    default: return;
  }
}

void Engine::on(const Ticked& event) {
  static_cast<void>(event);
  if (parts_.out.is_hello_due()) parts_.say_hello();
  parts_.out.send_due_reports();
  check_chain();
  look_at_early_assignment();
  parts_.attempt.tick(parts_.out.time());
  choosing_.check_waiting("");
  if (parts_.attempt.is_retry_due() || parts_.permission.is_waiting()) choosing_.consider();
  trying_.tick();
  fetching_.check_stall();
  fetching_.advance();
  trying_.try_if_allowed();
  trying_.judge();
}

void Engine::on(const FreeSpace& event) {
  const bool was_awaited = parts_.room.note_free(event.bytes, event.files);
  if (parts_.room.is_short() && parts_.course.is(Phase::idle) && !parts_.permission.is_waiting())
    Room::keep_one_leftover(std::nullopt, parts_.revisions, parts_.out);
  if (was_awaited) choosing_.consider();
}

void Engine::on(const HostTrouble& event) {
  parts_.host_trouble = event.lines;
  parts_.say_degraded();
}

void Engine::on(const StagingDone& event) {
  if (fetching_.finish(event)) trying_.try_if_allowed();
}

void Engine::on(const SwitchedBack& event) {
  if (trying_.finish(event)) choosing_.consider();
}

void Engine::on(const OwnerInstruction& event) {
  parts_.permission.obey(event);
  look_again();
}

void Engine::on(const LocalTime& event) {
  if (event.clock != parts_.time.clock()) {
    parts_.out.log(LogLevel::notice, "this device's clock: " + std::string(wire::clock_state_name(event.clock)) +
                                         ", it is " + utc_text(parts_.wall()));
  }
  parts_.time.set_clock(event.clock);
  parts_.permission.set_local_time(event);
  look_again();
}

void Engine::look_again() {
  choosing_.consider();
  fetching_.advance();
  trying_.try_if_allowed();
}

void Engine::finish_commit() {
  parts_.enter(Trigger::cleaned);
  trying_.go_back_if_reverted();
  choosing_.consider();
}

// --- messages -------------------------------------------------------------------------------------------------

void Engine::on_manifest(const std::string& topic, const GroupPath& group, Bytes payload) {
  const auto waited_for = parts_.permission.state().waits_manifest;
  const auto change =
      parts_.inbox.take_manifest(topic, group, std::move(payload), parts_.revisions, parts_.history, parts_.out);
  // After a restart nothing has been received yet: only what takes the place of the one that is waited for says that it
  // is not offered any more.
  const bool was_waited_for = !change.before.is_zero() && change.before == waited_for;
  if (change.kind == Inbox::Change::Kind::withdrawn && was_waited_for)
    choosing_.check_waiting("the release was withdrawn");
  if (change.kind != Inbox::Change::Kind::taken) return;
  choosing_.vet_gate(change.manifest->hash);
  choosing_.vet_age(change.manifest->hash);
  if (was_waited_for) choosing_.check_waiting("superseded by release " + change.manifest->manifest.release);
  choosing_.consider();
}

void Engine::on_gate(const std::string& topic, Bytes payload) {
  if (payload.empty()) return;
  const auto gate = parts_.inbox.open_gate(topic, std::move(payload), parts_.out);
  if (!gate) return;
  const auto taken = parts_.gates.take(*gate, [&](const ManifestId& hash) { return parts_.is_about(hash); });
  if (parts_.hearing.heard_gate(gate->fresh, parts_.out.now())) parts_.out.persist();
  if (taken == Gates::Taken::older) {
    return parts_.out.log(LogLevel::warning, "a gate on " + topic + " is older (issue " + std::to_string(gate->issue) +
                                                 ") than one heard before (" +
                                                 std::to_string(parts_.gates.issue(gate->manifest)) + "): ignored");
  }
  if (taken == Gates::Taken::news) parts_.out.persist();
  choosing_.vet_gate(gate->manifest);
  choosing_.vet_age(gate->manifest);
  choosing_.stop_if_ended();
  choosing_.check_waiting("");
  trying_.go_back_if_reverted();
  look_again();
}

void Engine::on_ack(ByteView payload) {
  auto& out = parts_.out;
  const auto ack = wire::decode_ack(payload);
  if (!ack) return out.log(LogLevel::warning, "an ack cannot be read: " + ack.error().message);
  if (ack->code == Code::stale) return on_stale(*ack);
  if (ack->code != Code::ok) {
    out.log(LogLevel::error, "the broker does not take this device's reports (" + std::string(code_name(ack->code)) +
                                 "): " + clean_text(ack->reason));
  }
  if (ack->code == Code::ok) {
    out.is_heard();
    if (parts_.clash.taken(out.hello_at())) parts_.say_degraded();
    if (parts_.hearing.heard_ack(out.now())) out.persist();
  }
  switch (out.acked(*ack)) {
    case Reporter::Acked::nothing:
      // An operator may enrol it, or let its key come: it asks now and then.
      if (ack->code == Code::refused || ack->code == Code::expired || ack->code == Code::untrusted_key)
        out.ask_for_hello();
      break;
    case Reporter::Acked::busy: out.ask_for_hello(); break;
    case Reporter::Acked::progress: out.persist(); break;
    case Reporter::Acked::lost:
      if (out.time() - out.hello_at() < limits::kHelloPauseMsMin) break;
      out.log(LogLevel::warning, "the broker knows this device's reports up to " + std::to_string(ack->sequence) +
                                     " only: saying hello again");
      parts_.say_hello();
      break;
    case Reporter::Acked::moved:
      out.persist();
      out.log(LogLevel::warning,
              "the broker knows more reports of this device than it does itself (its state was lost): going on "
              "after " +
                  std::to_string(ack->sequence));
      parts_.say_hello();
      break;
  }
  // Of what was ended while it was away, and stands on no topic any more.
  for (const auto& gate : ack->endings) on_gate("the ack of a hello", gate);
  if (ack->code != Code::ok || !parts_.permission.take_turn(*ack)) return;
  out.persist();
  choosing_.consider();
}

// A hello under this name was not later than the last one that the broker has taken.
void Engine::on_stale(const wire::Ack& ack) {
  auto& out = parts_.out;
  const auto own = parts_.sessions.boot();
  const auto told = parts_.clash.told(ack, own, parts_.facts.instance, out.time());
  if (told == NameClash::Told::nothing) return;
  if (told == NameClash::Told::go_on) {
    parts_.sessions.go_past(ack.boot);
    out.persist();
    out.log(LogLevel::warning, "the broker knows start " + std::to_string(ack.boot) + " of this device, and this was " +
                                   std::to_string(own) +
                                   ": its state was lost, or another device has its name and key; going on as start " +
                                   std::to_string(parts_.sessions.boot()));
    if (parts_.clash.is_first()) {
      parts_.say_hello();
    } else {
      out.ask_for_hello();
    }
  }
  parts_.say_degraded();
  // An operator may make room: it asks now and then.
  if (told == NameClash::Told::too_far) out.ask_for_hello();
}

void Engine::on_assignment(ByteView payload) {
  if (payload.empty() || payload.size() > limits::kMessageBytesMax) return;
  const auto taken = parts_.inbox.take_assignment(payload, parts_.topics, parts_.time, parts_.out.now().wall);
  if (!taken)
    return parts_.out.log(LogLevel::warning, "an assignment of groups is not taken: " + taken.error().message);
  if (!*taken) return;
  parts_.out.persist();
  std::string names;
  for (const auto& group : parts_.inbox.groups()) names += (names.empty() ? "" : ", ") + group.str();
  parts_.out.log(LogLevel::notice, "the groups of this device are now: " + names);
  choosing_.check_waiting("the release is not for the groups of this device any more");
  parts_.out.emit(Resubscribe{});
  if (parts_.out.is_connected()) parts_.say_hello();
  choosing_.consider();
}

void Engine::look_at_early_assignment() {
  if (const auto early = parts_.inbox.take_early(parts_.time, parts_.out.now().wall)) on_assignment(*early);
}

// --- questions ------------------------------------------------------------------------------------------------

std::optional<MonotonicMs> Engine::next_deadline() const {
  std::optional<MonotonicMs> earliest;
  const auto take = [&](const std::optional<MonotonicMs>& time) {
    if (time && (!earliest || *time < *earliest)) earliest = time;
  };
  if (parts_.course.is(Phase::committing)) take(MonotonicMs{0});
  take(parts_.out.next_deadline());
  take(parts_.attempt.next_deadline());
  take(parts_.transfer.next_deadline());
  take(parts_.upkeep.next_deadline());
  take(parts_.inbox.chain().next_deadline());
  take(parts_.trial.next_deadline());
  const auto& waits = parts_.permission.state().waits_manifest;
  const auto* offered = parts_.revisions.manifest_of(waits);
  if (offered == nullptr) offered = parts_.inbox.find(waits);
  take(parts_.permission.window_deadline(offered, parts_.revisions, parts_.out.now()));
  take(choosing_.next_deadline());
  take(parts_.hearing.next_deadline(parts_.out.is_connected()));
  take(parts_.clash.next_deadline(parts_.out.time()));
  return earliest;
}

std::vector<std::pair<std::string, wire::Qos>> Engine::subscriptions() const {
  const auto& topics = parts_.topics;
  const auto& device = parts_.facts.device;
  const auto& product = parts_.facts.description.product;
  std::vector<std::pair<std::string, wire::Qos>> filters;
  const auto add = [&](std::string filter, wire::Qos qos) {
    if (std::ranges::find(filters, filter, &std::pair<std::string, wire::Qos>::first) == filters.end())
      filters.emplace_back(std::move(filter), qos);
  };
  add(topics.root(), wire::Qos::at_least_once);
  if (const auto version = parts_.inbox.chain().wanted()) add(topics.root(*version), wire::Qos::at_least_once);
  for (const auto& own : parts_.inbox.groups()) {
    for (const auto& group : own.with_parents()) {
      add(topics.manifest(group, product), wire::Qos::at_least_once);
      add(topics.gate(group, product), wire::Qos::at_least_once);
    }
  }
  add(topics.device(device, wire::TopicKind::device_chunk), wire::Qos::at_most_once);
  add(topics.device(device, wire::TopicKind::device_ack), wire::Qos::at_least_once);
  add(topics.device(device, wire::TopicKind::device_assignment), wire::Qos::at_least_once);
  return filters;
}

Machine::View Engine::view() const {
  const auto& revisions = parts_.revisions;
  Machine::View view;
  view.phase = phase_name(parts_.course.phase());
  view.waits = parts_.permission.state().waits;
  if (revisions.current()) view.running = revisions.current()->info;
  view.current_revision = revisions.current_number();
  if (revisions.previous()) view.previous_revision = revisions.previous()->number;
  if (revisions.candidate()) view.candidate_revision = revisions.candidate()->number;
  const auto& numbers = revisions.state().numbers;
  view.revisions = {numbers.begin(), numbers.end()};
  view.revisions.insert({view.current_revision, view.previous_revision, view.candidate_revision});
  view.revisions.erase(0);
  view.bytes_fetched = parts_.attempt.bytes_fetched();
  view.pending_reports = parts_.out.reports().pending.size();
  view.last_report = parts_.out.reports().last_report;
  return view;
}

}  // namespace instar::revision
