// What a device does that is looked at: what it begins, what it says, and by which clock.
#include <algorithm>
#include <utility>

#include "core/revision/state_codec.hpp"
#include "core/trust/envelope.hpp"
#include "tests/sim/sim_device.hpp"

namespace instar::sim {
namespace {

// Of a canary: less than the difference between clocks that is allowed for.
constexpr std::int64_t kSlowMs = 8 * 60 * 1'000;

}  // namespace

Now SimDevice::now() const {
  return {own_time() + (canaries_.slow_clock ? -kSlowMs : 0), world_.now()};
}

void SimDevice::set_clock_error(std::int64_t ms) {
  clock_error_ms_ = clock_ == wire::ClockState::none ? std::min<std::int64_t>(ms, 0) : ms;
  tell_time();
}

void SimDevice::tell_time() {
  if (!machine_) return;
  told_ = {utc_offset_s_, clock_};
  auto as_said = told_;
  if (canaries_.blind_clock) as_said.clock = wire::ClockState::none;
  give(as_said);
}

void SimDevice::clone(const SimDevice& other) {
  started_ = other.started_;  // what the original has begun goes on
  disk_ = other.disk_;
  shows_as_ = facts_.device.str() + "'";
  checks_.transfers.twin(facts_.device.str());
  checks_.turns.twin(facts_.device.str());
}

void SimDevice::retire() {
  is_retired_ = true;
  if (powered_) stop_process();
  powered_ = false;
}

// A release begins with the write that says so: a device that loses its power right after it goes on with it, whatever
// was said since.
void SimDevice::note_start() {
  const auto state = revision::decode_state(disk_.state);
  if (!state) return;
  for (const auto& mark : state->gates) checks_.admissions.kept(shows_as_, mark.manifest, mark.issue);
  const auto waited = std::exchange(waited_, {state->permission.waits_manifest, state->permission.waits_attempt});
  const bool begun = state->revisions.candidate && state->revisions.candidate->info.manifest == waited.first &&
                     state->attempt.number == waited.second;
  if (!waited.first.is_zero() && waited != waited_ && !begun)
    checks_.turns.given_up(facts_.device.str(), waited.first, waited.second);
  if (!state->revisions.candidate || state->phase != revision::Phase::fetching) return;
  const auto& rollout = state->revisions.candidate->info.manifest;
  const auto first = started_.lower_bound({rollout, 0});
  const bool is_first = first == started_.end() || first->first != rollout;
  if (!started_.emplace(rollout, state->attempt.number).second) return;
  const auto& release = state->revisions.candidate->info.release;
  checks_.admissions.started({facts_.device.str(), shows_as_, rollout, owner_.hold,
                              owner_.allow_any || owner_.allowed == release, facts_.description.metered, is_first,
                              own_time(), told_.utc_offset_s, told_.clock});
  checks_.turns.started(facts_.device.str(), rollout, state->attempt.number);
}

void SimDevice::carry(revision::Publish& effect) {
  if (effect.opens) return;  // a shell that cannot do that
  const auto topic = wire::Topics().parse(effect.topic);
  if (topic && topic->kind == wire::TopicKind::device_fetch) {
    const auto fetch = wire::decode_fetch(effect.payload);
    if (!fetch)
      return world_.found(facts_.device.str() + " sends a fetch that cannot be read: " + fetch.error().message);
    world_.note(facts_.device.str() + ": fetch session " + std::to_string(fetch->session) + ", " +
                std::to_string(fetch->ranges.size()) + " ranges, received " + std::to_string(fetch->received_bytes) +
                ", window " + std::to_string(fetch->window_bytes));
    checks_.transfers.asked(facts_.device.str(), *fetch, disk_, machine_->view().candidate_revision);
  }
  if (topic && topic->kind == wire::TopicKind::device_report) {
    const auto envelope = trust::parse_envelope(effect.payload);
    const auto report =
        envelope ? wire::decode_report(envelope->payload) : Result<wire::Report>(fail(Code::malformed, ""));
    if (!report) return world_.found(facts_.device.str() + " sends a report that cannot be read");
    checks_.bytes.report(*report);
    checks_.strangers.report(*report);
    if (canaries_.false_turn && report->asks_start) {
      wire::Ack ack;
      ack.sequence = report->sequence;
      ack.start_rollout = report->rollout.prefix64();
      ack.start_attempt = report->attempt;
      give_later(1'000, revision::MessageArrived{wire::Topics().device(facts_.device, wire::TopicKind::device_ack),
                                                 wire::encode(ack)});
    }
  }
  if (!link_.is_up()) return;
  Outgoing message{++number_, effect.topic, std::move(effect.payload), effect.qos};
  if (message.qos != wire::Qos::at_most_once) unconfirmed_.push_back(message);
  send(message);
}

}  // namespace instar::sim
