#include "core/rollout/tracker.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::rollout {

RolloutView::RolloutView(const Rollout& rollout, const Members& of)
    : record(rollout.record()),
      release(rollout.release()),
      waves(rollout.tally().waves),
      updated(rollout.updated()),
      members(of.all()),
      counts(of.counts()),
      is_in_force(rollout.is_in_force()),
      superseded_by(rollout.superseded_by()),
      state_(rollout.state_name()),
      outcome_(rollout.outcome()) {}

// --- loading

void Tracker::load_tombstones(const DeviceId& device, std::vector<Tombstone> tombstones) {
  devices_.roster().tombstones().load(device, std::move(tombstones));
}

void Tracker::load_enrolment(wire::Enrolment enrolment) {
  devices_.roster().enrolments().set(std::move(enrolment));
}

void Tracker::load_spent_token(const DeviceId& device, const Hash256& token_hash) {
  devices_.roster().enrolments().load_spent(device, token_hash);
}

void Tracker::load_rollout(const ManifestId& rollout, RolloutRecord record, std::shared_ptr<const Release> release) {
  rollouts_.load(rollout, std::move(record), std::move(release));
  devices_.load_terms(rollout, rollouts_.find(rollout)->terms());
}

void Tracker::load_device(const DeviceId& device, DeviceRecord record) {
  devices_.load_device(device, std::move(record));
}

void Tracker::load_member(const ManifestId& rollout, const DeviceId& device, MemberRecord record) {
  devices_.load_member(rollout, device, std::move(record));
}

void Tracker::loaded(Now now) {
  Effects none;
  devices_.loaded(now);
  pass_counts(none);
  rollouts_.loaded(now);
  INSTAR_ASSERT(none.empty());
}

// --- events from devices

Status Tracker::hello(const wire::Hello& hello, const Origin& origin, Now now, Effects& effects) {
  INSTAR_TRY(const bool is_taken, devices_.hello(hello, origin, now, effects));
  if (!is_taken) {
    devices_.send_ack(hello.device, effects);
    return {};
  }
  const bool moved = devices_.adopt_step(hello, now, effects);
  pass_counts(effects);
  if (moved) rollouts_.advance(hello.rollout, devices_, now, effects);
  const bool asks = devices_.queue_for_turn(hello, effects);
  pass_counts(effects);
  if (asks) rollouts_.give_turns(hello.rollout, devices_, now, effects);
  devices_.save(hello.device, effects);
  const bool is_at_work = hello.step != wire::Step::idle && !wire::is_final(hello.step);
  devices_.send_ack(hello.device, effects,
                    rollouts_.endings_for(device(hello.device)->record.description,
                                          is_at_work ? std::optional(hello.rollout) : std::nullopt, now));
  return {};
}

Status Tracker::report(const wire::Report& report, Now now, Effects& effects) {
  INSTAR_TRY(const bool applied, devices_.report(report, now, effects));
  pass_counts(effects);
  if (applied) rollouts_.advance(report.rollout, devices_, now, effects);
  devices_.send_ack(report.device, effects);
  return {};
}

void Tracker::heard(const DeviceId& device, Now now) {
  Effects none;
  devices_.heard(device, now);
  pass_counts(none);
}

void Tracker::gone(const DeviceId& device, Now now) {
  devices_.gone(device, now);
}

void Tracker::is_there(const DeviceId& device) {
  Effects none;
  devices_.is_there(device);
  pass_counts(none);
}

Charge Tracker::charge(const DeviceId& device, std::uint64_t prefix, const PackId& pack, std::uint64_t bytes) {
  // By what is known here: the rollout that the device names, if it may take it, else the one that it should take.
  auto rollout = by_prefix(prefix);
  if (!rollout.has_value() || !devices_.may_fetch(*rollout, device, pack)) {
    const auto* known = this->device(device);
    rollout = known == nullptr ? std::nullopt : known->target;
    if (!rollout.has_value() || !devices_.may_fetch(*rollout, device, pack)) return Charge::not_offered;
  }
  // A device that is no member costs the rollout all the same: it may have begun before the broker knew of it, or while
  // its place is with a newer release.
  const auto charge = rollouts_.charge(*rollout, devices_.bytes_sent(*rollout, device), bytes);
  if (charge != Charge::ok) return charge;
  devices_.count_bytes(device, *rollout, bytes);
  Effects none;
  pass_counts(none);
  return Charge::ok;
}

void Tracker::save_bytes(std::size_t devices_max, Effects& effects) {
  devices_.save_bytes(devices_max, effects);
}

void Tracker::lease_saved(const ManifestId& rollout, std::uint64_t bytes) {
  rollouts_.lease_saved(rollout, bytes);
}

// --- events from operators

Result<Tracker::Taken> Tracker::take_manifest(const ManifestId& rollout, const wire::Manifest& manifest,
                                              const std::vector<trust::KeyId>& signers, const std::string& who, Now now,
                                              Effects& effects) {
  auto taken = rollouts_.take_manifest(rollout, manifest, signers, who, devices_, now, effects);
  pass_counts(effects);
  return taken;
}

void Tracker::take_keys(KeysInForce keys, Effects& effects) {
  rollouts_.take_keys(std::move(keys), devices_, effects);
  pass_counts(effects);
}

void Tracker::withdraw_unsigned(Now now, Effects& effects) {
  rollouts_.withdraw_unsigned(devices_, now, effects);
  pass_counts(effects);
}

Status Tracker::act(const ManifestId& rollout, Action action, const std::string& who, Now now, Effects& effects) {
  return rollouts_.act(rollout, action, who, devices_, now, effects);
}

Status Tracker::approve(const ManifestId& rollout, const Yes& yes, const std::string& who, Now now, Effects& effects) {
  return rollouts_.approve(rollout, yes, who, devices_, now, effects);
}

Status Tracker::retry(const ManifestId& rollout, const std::string& who, Now now, Effects& effects) {
  return rollouts_.retry(rollout, who, devices_, now, effects);
}

Status Tracker::forget(const DeviceId& device, OldKey old_key, WallMs now, Effects& effects) {
  INSTAR_CHECK(devices_.forget(device, old_key, now, effects));
  pass_counts(effects);
  return {};
}

Status Tracker::replace(const DeviceId& device, trust::KeyId key, WallMs now, Effects& effects) {
  INSTAR_CHECK(devices_.replace(device, key, now, effects));
  pass_counts(effects);
  return {};
}

void Tracker::enrol(wire::Enrolment enrolment, Bytes envelope, Effects& effects) {
  effects.emplace_back(SaveEnrolment{enrolment.device, std::move(envelope)});
  devices_.enrol(std::move(enrolment), effects);
  pass_counts(effects);
}

void Tracker::assign(const DeviceId& device, std::vector<GroupPath> groups) {
  devices_.roster().enrolments().assign(device, std::move(groups));
}

void Tracker::refresh_gates(Now now, Effects& effects) {
  rollouts_.refresh_gates(devices_, now, effects);
}

void Tracker::hold(std::string why, Effects& effects) {
  if (why.empty() && rollouts_.is_held()) times_due_ = gates_due_ = true;
  rollouts_.hold(std::move(why), effects);
}

void Tracker::tick(Now now, Effects& effects) {
  const auto back_ms = std::exchange(seen_, now.wall) - now.wall;
  times_due_ = times_due_ || back_ms > 0;
  gates_due_ = gates_due_ || back_ms > limits::kGateClockMsMax;
  if (times_due_ && !rollouts_.is_held()) {
    times_due_ = false;
    // In this order: a device whose time is mended came after the waves that are.
    rollouts_.mend_times(devices_, now, effects);
    devices_.mend_times(now, effects);
    pass_counts(effects);
    if (std::exchange(gates_due_, false)) rollouts_.renew_gates();
  }
  rollouts_.tick(devices_, now, effects);
}

// --- views

std::size_t Tracker::cloned_count(WallMs now) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(devices(), [now](const auto& entry) { return is_cloned(entry.second.record, now); }));
}

bool Tracker::has_turn(const DeviceId& device, std::uint64_t prefix, std::uint32_t attempt) const {
  const auto rollout = by_prefix(prefix);
  const auto* members = rollout.has_value() ? devices_.members(*rollout) : nullptr;
  return members != nullptr && members->has_turn(device, attempt);
}

std::optional<RolloutView> Tracker::rollout(const ManifestId& rollout) const noexcept {
  const auto* found = rollouts_.find(rollout);
  if (found == nullptr) return std::nullopt;
  return RolloutView(*found, *devices_.members(rollout));
}

std::vector<std::pair<ManifestId, RolloutView>> Tracker::rollouts() const {
  std::vector<std::pair<ManifestId, RolloutView>> out;
  out.reserve(rollouts_.all().size());
  for (const auto& [id, rollout] : rollouts_.all()) out.emplace_back(id, RolloutView(rollout, *devices_.members(id)));
  return out;
}

const std::map<Audience, ManifestId>& Tracker::current_rollouts() const noexcept {
  return rollouts_.catalog().by_audience();
}

std::string Tracker::waiting_for(const ManifestId& rollout, Now now) const {
  return rollouts_.waiting_for(rollout, now);
}

std::optional<ManifestId> Tracker::by_prefix(std::uint64_t prefix64) const {
  return rollouts_.catalog().by_prefix(prefix64);
}

void Tracker::assert_invariants() const {
  devices_.assert_invariants();
  rollouts_.assert_invariants();
  for (const auto& [id, rollout] : rollouts_.all()) {
    const auto* members = devices_.members(id);
    INSTAR_ASSERT(members != nullptr && members->tally() == rollout.tally());
  }
}

}  // namespace instar::rollout
