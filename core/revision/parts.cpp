#include "core/revision/parts.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "core/artifact/pack_formats.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/revision/age.hpp"
#include "core/trust/digest.hpp"

namespace instar::revision {

Parts::Parts(DeviceFacts device_facts, trust::SecretKey secret_key, wire::Topics all_topics, trust::TrustStore trust,
             DeviceState state)
    : facts(std::move(device_facts)),
      key(std::move(secret_key)),
      topics(std::move(all_topics)),
      course(state.phase),
      hearing(state.hearing, facts.silence_days),
      history(std::move(state.history), state.revisions),
      revisions(std::move(state.revisions), facts.factory, facts.factory_manifest),
      out(std::move(state.reports), facts.device, key, topics, revisions),
      inbox(facts, std::move(trust), std::move(state.assignment)),
      gates(std::move(state.gates)),
      attempt(std::move(state.attempt)),
      permission(std::move(state.permission), facts.description.metered, out.reports().last_report),
      sessions(state.boot),
      transfer(facts.window_bytes_max, facts.piece_bytes_max),
      trial(std::move(state.trial)) {
  time.set_root(inbox.root().issued);
}

DeviceState Parts::state(std::uint64_t generation) const {
  return {generation,      course.phase(),        revisions.state(),
          attempt.state(), trial.state(),         permission.state(),
          gates.marks(),   history.state(),       out.reports(),
          hearing.state(), inbox.root_envelope(), inbox.assignment(),
          sessions.boot(), facts.device.str(),    facts.description.product};
}

JudgedTime Parts::judged(const wire::Manifest& manifest, const ManifestId& hash) const {
  const auto* gate = gates.find(hash);
  // What a clock that is good enough can tell to be ahead of the time is no time.
  const bool is_ahead =
      gate != nullptr && time.is_credible(wall(), manifest.issued) && gate->fresh > wall() + limits::kGateClockMsMax;
  const bool is_obeyed = gate != nullptr && !is_ahead && ahead_blocker(manifest, *gate, time, wall()).empty();
  return time.judge(wall(), manifest.issued, is_obeyed ? std::optional(gate->fresh) : std::nullopt);
}

bool Parts::is_about(const ManifestId& hash) const noexcept {
  return permission.waits_for(hash) || revisions.holds(hash) || inbox.find(hash) != nullptr;
}

void Parts::enter(Trigger trigger) {
  course.enter(trigger);
  out.persist();
}

// What is here and signed by keys that are in force keeps older releases out; what a lost key has signed does not.
void Parts::start_over() {
  std::uint64_t highest = 0;
  const auto count = [&](const std::optional<RevisionRecord>& record, const Bytes& envelope) {
    const auto manifest = record ? manifest_in(envelope) : std::nullopt;
    if (manifest && inbox.is_in_force(envelope, *manifest)) highest = std::max(highest, manifest->sequence);
  };
  const auto& held = revisions.state();
  count(held.current, held.current_manifest);
  count(held.previous, held.previous_manifest);
  count(held.candidate, held.candidate_manifest);
  if (highest != history.state().highest_sequence) {
    out.log(LogLevel::notice, "release keys were replaced: releases count again from sequence " +
                                  std::to_string(highest) + " (it was " +
                                  std::to_string(history.state().highest_sequence) + ")");
  }
  history.start_over(highest);
  out.persist();
  // While the chain is followed, at its end.
  if (out.is_connected() && !inbox.chain().wanted()) say_hello();
}

wire::Report Parts::report_as_it_stands(const ManifestId& hash) const {
  wire::Report report;
  report.rollout = hash;
  report.step = wire::Step::waiting;
  if (permission.waits_for(hash)) {
    report.attempt = permission.state().waits_attempt;
    report.asks_start = permission.state().waits_asks;
  } else if (revisions.is_candidate(hash)) {
    report.step = step_of(course.phase());
    report.attempt = attempt.number();
  } else if (const auto* outcome = history.find(hash); outcome != nullptr) {
    report.step = outcome->step;
    report.attempt = outcome->attempt;
  } else if (revisions.is_current(hash)) {
    report.step = wire::Step::committed;
    report.attempt = 1;
  }
  return report;
}

wire::Report Parts::about_candidate(wire::Step step, Code code, std::string reason) const {
  return attempt.report(revisions.candidate(), step, code, std::move(reason));
}

void Parts::record_candidate_outcome(wire::Step step, Code code, std::string reason) {
  auto outcome = attempt.outcome(revisions.candidate(), step, code);
  outcome.reason = std::move(reason);
  history.record(std::move(outcome));
  out.persist();
}

void Parts::say_once(std::string_view kind, const ManifestId& hash, wire::Report report) {
  const auto what = report.reason;
  say_once(kind, what, hash, std::move(report));
}

void Parts::say_once(std::string_view kind, std::string_view what, const ManifestId& hash, wire::Report report) {
  trust::Hasher hasher;
  hasher.update(as_bytes(kind));
  hasher.update(hash.bytes);
  hasher.update(as_bytes(what));
  if (!history.refuse_once(hasher.finish())) return;
  if (report.step == wire::Step::refused) history.note_refusal(report.reason);
  out.persist();
  out.log(LogLevel::warning, report.reason);
  out.report(std::move(report));
}

wire::Description Parts::description() const {
  auto described = facts.description;
  described.groups = inbox.groups();
  described.free_bytes = room.free_bytes();
  if (revisions.current()) described.running = revisions.current()->info;
  if (revisions.previous()) described.previous = revisions.previous()->info;
  described.pack_formats = {artifact::kPackFormat};
  for (std::uint8_t format = 1; format <= artifact::kDeltaFormatNewest; ++format)
    described.pack_formats.push_back(artifact::pack_capability(artifact::PackKind::delta, format));
  described.root_version = inbox.root().version;
  described.highest_sequence = history.state().highest_sequence;
  described.time = wall();
  described.clock = time.clock();
  std::ranges::copy(upkeep.degraded(), std::back_inserter(described.degraded));
  return described;
}

void Parts::say_hello() {
  wire::Hello hello;
  hello.device = facts.device;
  hello.key = key.public_key();
  hello.description = description();
  // What is waited for goes before what came to an end earlier.
  const auto& waits = permission.state().waits_manifest;
  const bool other = revisions.candidate() && !revisions.is_candidate(waits);
  if (permission.is_waiting() && !other) {
    hello.rollout = waits;
  } else if (revisions.candidate()) {
    hello.rollout = revisions.candidate()->info.manifest;
  } else if (const auto* last = history.last(); last != nullptr) {
    hello.rollout = last->manifest;
  }
  if (!hello.rollout.is_zero()) {
    const auto stands = report_as_it_stands(hello.rollout);
    hello.step = stands.step;
    hello.attempt = stands.attempt;
    hello.asks_start = stands.asks_start;
  }
  hello.last_sequence = out.reports().last_report;
  hello.acked_sequence = out.reports().acked_report;
  hello.boot = sessions.boot();
  hello.connect = out.next_hello();
  hello.instance = facts.instance;
  hello.token = facts.token;
  out.send_hello(hello);
}

void Parts::say_degraded() {
  std::vector<std::string> others;
  for (auto& line : {clash.trouble(out.time()), inbox.chain().trouble()})
    if (!line.empty()) others.push_back(line);
  std::ranges::copy(host_trouble, std::back_inserter(others));
  const auto change = upkeep.update_degraded(trial.stuck(), out.time(), others);
  if (!change) return;
  for (const auto& line : change->added) out.log(LogLevel::warning, line);
  if (change->is_over) out.log(LogLevel::notice, "not degraded any more");
  if (out.is_connected()) say_hello();
}

void Parts::assert_invariants() const {
  history.assert_invariants();
  revisions.assert_invariants();
  out.assert_invariants();
  room.assert_invariants();
  inbox.assert_invariants();
  gates.assert_invariants();
  attempt.assert_invariants();
  permission.assert_invariants();
  transfer.assert_invariants();
  trial.assert_invariants(course.phase());
  upkeep.assert_invariants();
  clash.assert_invariants();
  const bool has_candidate = revisions.candidate().has_value();
  const bool is_free = course.is(Phase::idle) || course.is(Phase::committing);
  INSTAR_ASSERT(is_free != has_candidate);
  INSTAR_ASSERT(!course.is_acquiring() || attempt.packs().size() == revisions.candidate_manifest()->artifacts.size());
  INSTAR_ASSERT(!attempt.is_staged() || course.is_acquiring());
  INSTAR_ASSERT(!attempt.next_deadline() || course.is(Phase::waiting));
}

}  // namespace instar::revision
