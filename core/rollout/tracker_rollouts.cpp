// Loading, and events from operators.
#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/rollout/tracker.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

// Turns within one minute are bounded; how many of the last one an earlier process gave is not known.
constexpr std::int64_t kMinuteMs = 60'000;

std::string past_tense(Action action) {
  switch (action) {
    case Action::pause: return "paused";
    case Action::resume: return "resumed";
    case Action::abort: return "aborted";
    case Action::revert: return "taken back";
  }
  return "";
}

// For a clock that was set back, and one that was set forth.
std::int64_t elapsed_ms(WallMs since, WallMs now, std::int64_t most) {
  return std::clamp<std::int64_t>(now - since, 0, most);
}

}  // namespace

void Tracker::load_rollout(const Hash256& hash, RolloutRecord record, std::shared_ptr<const wire::Policy> policy) {
  index_rollout(hash, record);
  auto& rollout = rollouts_[hash];
  rollout.updated = record.updated;
  rollout.record = std::move(record);
  rollout.policy = std::move(policy);
  rollout.waves.resize(wire::wave_count(*rollout.policy));
  // What an earlier process had leased and not used is lost to it: the budget holds whatever happened.
  rollout.bytes_charged = rollout.bytes_leased = rollout.record.bytes_leased;
}

void Tracker::load_device(const DeviceId& id, DeviceRecord record) {
  devices_[id].record = std::move(record);
}

void Tracker::load_member(const Hash256& hash, const DeviceId& device, MemberRecord record) {
  // Members of a rollout or device whose record could not be read count for nothing.
  auto* const rollout = find_rollout(hash);
  if (rollout == nullptr || rollout->record.archived.has_value() || !devices_.contains(device)) return;
  ask_last_ = std::max(ask_last_, record.asks);
  set_member(*rollout, device, std::move(record), true);
}

void Tracker::loaded(Now now) {
  for (auto& [id, device] : devices_) {
    device.heard = now.monotonic;
    place(id, device, nullptr);
  }
  for (auto& [hash, rollout] : rollouts_) {
    const auto& record = rollout.record;
    const auto silent_ms = std::int64_t{rollout.policy->silent_s} * 1'000;
    // Nobody could be heard of while nobody listened: of the time for that, no more counts than what is over half.
    const auto opened = record.wave_opened.empty() ? record.started : record.wave_opened.back();
    rollout.opened = now.monotonic + -elapsed_ms(opened, now.wall, silent_ms / 2);
    // The soak goes on from what was saved of it: a wall clock that was set forth meanwhile cuts nothing short.
    rollout.settled = now.monotonic + -std::max<std::int64_t>(record.soaked_ms, 0);
    if (record.starts > 0 && rollout.policy->starts_per_minute_max > 0)
      rollout.no_starts_before = now.monotonic + kMinuteMs;
  }
}

void Tracker::index_rollout(const Hash256& hash, const RolloutRecord& record) {
  by_product_[record.product][record.sequence] = hash;
  by_prefix_[hash.prefix64()] = hash;
  order_last_ = std::max(order_last_, record.order);
  for (const auto& group : record.groups) {
    const auto before = group_rollouts_.find(group);
    if (before == group_rollouts_.end() || rollouts_.at(before->second).record.order < record.order)
      group_rollouts_[group] = hash;
  }
  current_.clear();
  for (const auto& [group, current] : group_rollouts_) current_.insert(current);
}

bool Tracker::is_current(const Hash256& hash) const {
  return current_.contains(hash);
}

std::uint64_t Tracker::highest_sequence(std::string_view product) const {
  const auto sequences = by_product_.find(product);
  return sequences == by_product_.end() || sequences->second.empty() ? 0 : sequences->second.rbegin()->first;
}

std::optional<Hash256> Tracker::by_prefix(std::uint64_t prefix64) const {
  const auto found = by_prefix_.find(prefix64);
  if (found == by_prefix_.end()) return std::nullopt;
  return found->second;
}

const Rollout* Tracker::rollout(const Hash256& hash) const noexcept {
  const auto found = rollouts_.find(hash);
  return found == rollouts_.end() ? nullptr : &found->second;
}

Result<Tracker::Taken> Tracker::take_manifest(const Hash256& hash, const wire::Manifest& manifest,
                                              const std::string& who, Now now, Effects& effects) {
  const auto highest = highest_sequence(manifest.product);
  if (rollouts_.contains(hash)) {
    const bool current = std::all_of(manifest.groups.begin(), manifest.groups.end(), [&](const GroupPath& group) {
      const auto found = group_rollouts_.find(group);
      return found != group_rollouts_.end() && found->second == hash;
    });
    if (current) return Taken::known;
  }
  if (manifest.sequence <= highest) {
    return fail(Code::stale, "sequence " + std::to_string(manifest.sequence) + " of product " + manifest.product +
                                 " is not above the highest one taken so far, " + std::to_string(highest) +
                                 ": publish again with a higher one");
  }
  INSTAR_CHECK(wire::check_waves(manifest.policy));
  make_room(effects);
  if (rollouts_.size() >= limits::kRolloutsMax) {
    return fail(Code::too_large, "the broker keeps at most " + std::to_string(limits::kRolloutsMax) +
                                     " rollouts, and all are some group's current one");
  }
  RolloutRecord record;
  record.product = manifest.product;
  record.release = manifest.release;
  record.sequence = manifest.sequence;
  record.groups = manifest.groups;
  record.order = order_last_ + 1;
  // Devices hold a gate against the manifest's own time.
  record.started = record.updated = std::max(now.wall, manifest.issued);
  load_rollout(hash, std::move(record), std::make_shared<const wire::Policy>(manifest.policy));
  auto& rollout = rollouts_.at(hash);
  rollout.settled = now.monotonic;
  place_product(manifest.product, effects);
  if (rollout.policy->rollout_bytes_max != 0) {
    leases_due_.insert(hash);
    extend_leases(effects);
  }
  note_event(hash, rollout, who,
             "published " + manifest.release + " (sequence " + std::to_string(manifest.sequence) + ")", now, effects);
  open_wave(hash, rollout, 0, now, effects);
  effects.emplace_back(Note{5, "rollout " + hash.short_hex() + " of " + manifest.product + " " + manifest.release +
                                   " (sequence " + std::to_string(manifest.sequence) + ") begins"});
  advance(hash, rollout, now, effects);
  archive_old(manifest.product, effects);
  return Taken::created;
}

// Drops the oldest rollout that no group looks at any more, when there are too many.
void Tracker::make_room(Effects& effects) {
  if (rollouts_.size() < limits::kRolloutsMax) return;
  auto oldest = rollouts_.end();
  for (auto it = rollouts_.begin(); it != rollouts_.end(); ++it) {
    if (is_current(it->first)) continue;
    if (oldest == rollouts_.end() || it->second.record.order < oldest->second.record.order) oldest = it;
  }
  if (oldest == rollouts_.end()) return;
  const auto hash = oldest->first;
  const auto product = oldest->second.record.product;
  for (const auto& [device, member] : oldest->second.members) {
    if (member.stored) effects.emplace_back(RemoveMember{hash, device});
    settle_bytes(hash, device);
  }
  effects.emplace_back(RemoveRollout{hash, oldest->second.record.events});
  by_product_[product].erase(oldest->second.record.sequence);
  by_prefix_.erase(hash.prefix64());
  leases_due_.erase(hash);
  rollouts_.erase(oldest);
  for (auto& [id, device] : devices_) {
    if (device.target == hash) device.target.reset();
  }
}

// Of old rollouts the sums are kept, not each member: memory and disk must not grow with every release.
void Tracker::archive_old(std::string_view product, Effects& effects) {
  std::size_t newer = 0;
  const auto& sequences = by_product_.find(product)->second;
  for (auto it = sequences.rbegin(); it != sequences.rend(); ++it) {
    if (++newer <= limits::kRolloutsWithMembersMax || is_current(it->second)) continue;
    auto& rollout = rollouts_.at(it->second);
    if (rollout.record.archived.has_value()) return;  // and so are all before it
    rollout.record.archived = rollout.counts;
    for (const auto& [device, member] : rollout.members) {
      if (member.stored) effects.emplace_back(RemoveMember{it->second, device});
      settle_bytes(it->second, device);
    }
    rollout.members.clear();
    rollout.queue.clear();
    rollout.in_flight.clear();
    rollout.counts = {};
    rollout.waves.assign(rollout.waves.size(), {});
    save(it->second, rollout, effects);
  }
}

void Tracker::save(const Hash256& hash, Rollout& rollout, Effects& effects) {
  effects.emplace_back(SaveRollout{hash, encode(rollout.record)});
}

// The caller saves the record, which counts the entries.
void Tracker::note_event(const Hash256& hash, Rollout& rollout, const std::string& who, std::string what, Now now,
                         Effects& effects) {
  effects.emplace_back(SaveEvent{hash, rollout.record.events++, encode(EventRecord{now.wall, who, std::move(what)})});
}

void Tracker::set_state(const Hash256& hash, Rollout& rollout, RolloutState state, const std::string& who,
                        std::string what, Now now, Effects& effects) {
  rollout.record.state = state;
  rollout.record.updated = rollout.updated = now.wall;
  effects.emplace_back(Note{5, "rollout " + hash.short_hex() + " is " + what + " by " + who});
  note_event(hash, rollout, who, std::move(what), now, effects);
  if (state == RolloutState::aborted || state == RolloutState::reverted) place_product(rollout.record.product, effects);
  send_gates(hash, rollout, now, effects);
  effects.emplace_back(ShowStatus{hash});
}

Status Tracker::act(const Hash256& hash, Action action, const std::string& who, Now now, Effects& effects) {
  auto* const rollout = find_rollout(hash);
  if (rollout == nullptr) return fail(Code::not_found, "no rollout " + hash.short_hex() + " is known here");
  auto& record = rollout->record;
  const auto to = state_after(record.state, action);
  if (!to.has_value()) {
    return fail(Code::refused, "rollout " + hash.short_hex() + " was " + std::string(rollout->state_name()) +
                                   ", and stays so: publish a new release");
  }
  if (action == Action::revert && !rollout->policy->revert_allowed) {
    return fail(Code::refused,
                "the manifest of release " + record.release +
                    " does not allow to take it back (revert_allowed): publish the older content as a new release");
  }
  if (*to == record.state) return {};
  if (action == Action::resume) {
    // What stopped it is known to the operator now; it stops again for what comes on top.
    record.forgiven = rollout->counts.failed;
    record.stuck_forgiven = true;
  }
  record.cause.clear();
  set_state(hash, *rollout, *to, who, past_tense(action), now, effects);
  advance(hash, *rollout, now, effects);
  return {};
}

Status Tracker::approve(const Hash256& hash, std::optional<std::uint32_t> wave, const std::string& who, Now now,
                        Effects& effects) {
  auto* const rollout = find_rollout(hash);
  if (rollout == nullptr) return fail(Code::not_found, "no rollout " + hash.short_hex() + " is known here");
  auto& record = rollout->record;
  const auto which = wave.value_or(record.wave);
  const auto number = "wave " + std::to_string(which + 1);
  if (which < record.approved || which < record.wave) return {};
  if (which > record.wave) {
    return fail(Code::refused, number + " is not open yet: the rollout is in wave " + std::to_string(record.wave + 1));
  }
  if (record.state != RolloutState::active && record.state != RolloutState::paused) {
    return fail(Code::refused, "rollout " + hash.short_hex() + " was " + std::string(rollout->state_name()) +
                                   ": publish a new release");
  }
  if (!wire::wave_of(*rollout->policy, which).approval) {
    return fail(Code::refused,
                number + " asks for no approval: " +
                    (rollout->is_last_wave() ? std::string("it is the last one")
                                             : "what follows opens when " + waiting_for(*rollout, now) + " is over"));
  }
  record.approved = which + 1;
  record.updated = now.wall;
  note_event(hash, *rollout, who, "approved " + number, now, effects);
  save(hash, *rollout, effects);
  effects.emplace_back(ShowStatus{hash});
  advance(hash, *rollout, now, effects);
  return {};
}

Status Tracker::retry(const Hash256& hash, const std::string& who, Now now, Effects& effects) {
  auto* const rollout = find_rollout(hash);
  if (rollout == nullptr) return fail(Code::not_found, "no rollout " + hash.short_hex() + " is known here");
  auto& record = rollout->record;
  if (record.state != RolloutState::active && record.state != RolloutState::paused) {
    return fail(Code::refused, "rollout " + hash.short_hex() + " was " + std::string(rollout->state_name()) +
                                   ": publish a new release");
  }
  std::uint64_t failed = 0;
  for (const auto& [device, member] : rollout->members) {
    const bool ended =
        wire::is_final(member.record.step) && member.record.step != wire::Step::committed && !member.record.again;
    failed += ended && (record.retry_epoch == 0 || member.record.updated > record.retried) ? 1 : 0;
  }
  if (failed == 0) return {};
  ++record.retry_epoch;
  record.retried = record.updated = rollout->updated = now.wall;
  record.stuck_forgiven = true;
  record.forgiven = rollout->counts.failed;
  note_event(hash, *rollout, who, "let " + std::to_string(failed) + " failed device(s) try again", now, effects);
  send_gates(hash, *rollout, now, effects);
  effects.emplace_back(ShowStatus{hash});
  return {};
}

void Tracker::refresh_gates(Now now, Effects& effects) {
  for (const auto& hash : current_) send_gates(hash, rollouts_.at(hash), now, effects);
}

void Tracker::send_gates(const Hash256& hash, Rollout& rollout, Now now, Effects& effects) {
  auto& record = rollout.record;
  ++record.issue;
  save(hash, rollout, effects);
  for (const auto& group : record.groups) {
    if (group_rollouts_.at(group) != hash) continue;
    wire::Gate gate;
    gate.group = group;
    gate.product = record.product;
    gate.manifest = hash;
    gate.sequence = record.sequence;
    gate.state = static_cast<wire::GateState>(record.state);
    gate.admitted_point = record.wave_limits.back();
    gate.admitted_bp = wire::share_of_point(gate.admitted_point);
    gate.wave = record.wave;
    // A clock that was set back signs nothing older than what it has signed.
    gate.fresh = std::max(now.wall, record.wave_opened.back());
    gate.wave_opened = record.wave_opened;
    gate.issue = record.issue;
    gate.retry_epoch = record.retry_epoch;
    effects.emplace_back(SendGate{std::move(gate)});
  }
}

}  // namespace instar::rollout
