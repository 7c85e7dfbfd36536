// Which wave is open, and what stops a rollout by itself.
#include <algorithm>

#include "core/base/assert.hpp"
#include "core/rollout/tracker.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

constexpr const char* kBroker = "the broker";

std::string counted(std::uint64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

Judgement Tracker::judge(const Rollout& rollout, Now now) const {
  const auto& record = rollout.record;
  std::vector<WaveCounts> waves(rollout.waves.begin(), rollout.waves.begin() + record.wave + 1);
  // Devices that are named and that nobody knows are waited for like any other that is silent.
  for (std::size_t i = 0; i < waves.size() && i < rollout.policy->waves.size(); ++i) {
    for (const auto& name : rollout.policy->waves[i].devices) {
      const auto id = DeviceId::parse(name);
      if (id.has_value() && rollout.members.contains(*id)) continue;
      ++waves[i].admitted;
      ++waves[i].unseen;
    }
  }
  return judge_wave(*rollout.policy, record, waves, rollout.members.size(),
                    {now.monotonic - rollout.opened, now.monotonic - rollout.settled});
}

std::string Tracker::waiting_for(const Rollout& rollout, Now now) const {
  const auto& record = rollout.record;
  if (record.archived.has_value() || record.state != RolloutState::active || rollout.is_last_wave()) return "";
  return waits_for(*rollout.policy, record, judge(rollout, now));
}

void Tracker::advance(const Hash256& hash, Rollout& rollout, Now now, Effects& effects) {
  auto& record = rollout.record;
  if (!is_current(hash) || record.archived.has_value()) return;
  if (check_budgets(hash, rollout, now, effects)) return;
  while (record.state == RolloutState::active && !rollout.is_last_wave()) {
    const auto judgement = judge(rollout, now);
    if (judgement.holds != (record.settled.value != 0)) {
      record.settled = judgement.holds ? std::max(now.wall, WallMs{1}) : WallMs{};
      record.soaked_ms = 0;
      rollout.settled = now.monotonic;
      save(hash, rollout, effects);
      effects.emplace_back(ShowStatus{hash});
      if (judgement.holds) continue;  // now that the soak has begun
    }
    if (judgement.wait == Wait::stuck && !record.stuck_forgiven) {
      record.cause =
          "wave " + std::to_string(record.wave + 1) + " cannot go on: " + waits_for(*rollout.policy, record, judgement);
      return set_state(hash, rollout, RolloutState::paused, kBroker, "paused: " + record.cause, now, effects);
    }
    if (judgement.wait == Wait::soak) save_soak(hash, rollout, now, effects);
    if (judgement.wait != Wait::nothing) break;
    open_wave(hash, rollout, record.wave + 1, now, effects);
  }
  if (record.completed.value == 0 && rollout.state_name() == "complete") {
    record.completed = now.wall;
    note_event(hash, rollout, kBroker,
               "complete: " + std::to_string(rollout.counts.at(wire::Step::committed)) + " of " +
                   counted(rollout.counts.devices, "device") + " committed",
               now, effects);
    save(hash, rollout, effects);
  }
  if (!rollout.queue.empty() || !rollout.untold.empty()) give_turns(hash, rollout, now, effects);
}

// Now and then: a restart of the broker costs at most a sixty-fourth of a soak.
void Tracker::save_soak(const Hash256& hash, Rollout& rollout, Now now, Effects& effects) {
  const auto soak_ms = std::int64_t{wire::wave_of(*rollout.policy, rollout.record.wave).soak_s} * 1'000;
  const auto soaked = now.monotonic - rollout.settled;
  if (soaked - rollout.record.soaked_ms < std::max<std::int64_t>(soak_ms / 64, 10'000)) return;
  rollout.record.soaked_ms = soaked;
  save(hash, rollout, effects);
}

// True: it has been stopped.
bool Tracker::check_budgets(const Hash256& hash, Rollout& rollout, Now now, Effects& effects) {
  auto& record = rollout.record;
  if (record.state != RolloutState::active) return false;
  const auto& policy = *rollout.policy;
  if (rollout.bytes_spent) {
    record.cause = "its byte budget of " + std::to_string(policy.rollout_bytes_max) + " is spent";
    set_state(hash, rollout, RolloutState::paused, kBroker, "paused: " + record.cause, now, effects);
    return true;
  }
  WaveCounts sums;
  for (const auto& wave : rollout.waves) sums += wave;
  const auto failures = rollout.counts.failed > record.forgiven ? rollout.counts.failed - record.forgiven : 0;
  if (!is_budget_spent(policy, failures, sums.seen())) return false;
  record.cause = "its error budget is spent: " + counted(rollout.counts.failed, "device") + " of " +
                 std::to_string(sums.seen()) + " heard of failed";
  switch (policy.budget_action) {
    case wire::BudgetAction::pause:
      set_state(hash, rollout, RolloutState::paused, kBroker, "paused: " + record.cause, now, effects);
      break;
    case wire::BudgetAction::abort:
      set_state(hash, rollout, RolloutState::aborted, kBroker, "aborted: " + record.cause, now, effects);
      break;
    case wire::BudgetAction::revert:
      set_state(hash, rollout, policy.revert_allowed ? RolloutState::reverted : RolloutState::paused, kBroker,
                "taken back: " + record.cause, now, effects);
      break;
  }
  return true;
}

// Durable before its gate leaves: a wave is opened once, whatever breaks.
void Tracker::open_wave(const Hash256& hash, Rollout& rollout, std::uint32_t wave, Now now, Effects& effects) {
  auto& record = rollout.record;
  INSTAR_ASSERT(record.wave_opened.size() == wave);
  auto opened = std::max(now.wall, record.started);
  if (wave > 0) {
    const auto soak_ms = std::int64_t{wire::wave_of(*rollout.policy, wave - 1).soak_s} * 1'000;
    opened = std::max(opened, record.wave_opened.back() + soak_ms);  // the wall clock was set back
  }
  record.wave = wave;
  record.wave_opened.push_back(opened);
  record.wave_limits.push_back(limit_of(rollout, wave));
  record.settled = {};
  record.soaked_ms = 0;
  record.stuck_forgiven = false;
  record.updated = rollout.updated = now.wall;
  rollout.opened = rollout.settled = now.monotonic;
  admit(rollout);
  note_event(hash, rollout, kBroker,
             "opened wave " + std::to_string(wave + 1) + " of " + std::to_string(rollout.waves.size()) + ": " +
                 counted(rollout.waves[wave].admitted, "device"),
             now, effects);
  send_gates(hash, rollout, now, effects);
  effects.emplace_back(ShowStatus{hash});
}

// The wave is in the record, its limit is not yet.
std::uint64_t Tracker::limit_of(const Rollout& rollout, std::uint32_t wave) const {
  const auto& policy = *rollout.policy;
  const auto before = rollout.record.wave_limits.empty() ? 0 : rollout.record.wave_limits.back();
  const auto most = wire::point_max(policy, wave);
  const auto count = wire::wave_of(policy, wave).device_count;
  if (count == 0) return std::max(before, most);
  // As many of those that are known; one that comes later and is placed below goes with them.
  std::vector<std::uint32_t> points;
  points.reserve(rollout.members.size());
  for (const auto& [device, member] : rollout.members) points.push_back(member.point);
  if (points.size() <= count) return std::max(before, most);
  const auto first_out = points.begin() + count;
  std::nth_element(points.begin(), first_out, points.end());
  return std::clamp<std::uint64_t>(*first_out, before, most);
}

// Everyone's wave anew, and who is there now.
void Tracker::admit(Rollout& rollout) {
  for (auto& [device, member] : rollout.members) {
    count(rollout, member, false);
    if (member.wave < 0) {
      const auto wave = wire::first_wave(*rollout.policy, rollout.record.wave_limits, device, member.point);
      if (wave.has_value()) member.wave = static_cast<std::int16_t>(*wave);
    }
    const auto found = devices_.find(device);
    member.seen = found != devices_.end() && found->second.online;
    count(rollout, member, true);
  }
}

void Tracker::tick(Now now, Effects& effects) {
  extend_leases(effects);
  for (const auto& hash : current_) {
    auto& rollout = rollouts_.at(hash);
    if (rollout.record.state == RolloutState::active) advance(hash, rollout, now, effects);
  }
}

}  // namespace instar::rollout
