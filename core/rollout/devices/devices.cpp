// Events from devices.
#include "core/rollout/devices/devices.hpp"

#include <algorithm>
#include <string>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/rollout/devices/step_rules.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

// As the device does it: a commit makes what ran before the previous revision, a way back leaves none.
void note_running(const wire::Report& report, wire::Description& description) {
  if (!report.running.has_value() || report.running == description.running) return;
  const bool went_back = report.running == description.previous;
  description.previous = went_back ? std::nullopt : std::move(description.running);
  description.running = report.running;
}

}  // namespace

void Devices::load_terms(const ManifestId& rollout, Terms terms) {
  members_.try_emplace(rollout, terms.policy());
  offers_.set(rollout, std::move(terms));
  changed_.insert(rollout);
}

void Devices::load_device(const DeviceId& device, DeviceRecord record) {
  roster_.load(device, std::move(record));
}

void Devices::load_member(const ManifestId& rollout, const DeviceId& device, MemberRecord record) {
  // Members of a rollout or device whose record could not be read count for nothing.
  const auto* terms = offers_.find(rollout);
  const auto* known = roster_.find(device);
  if (terms == nullptr || terms->archived || known == nullptr) return;
  ask_last_ = std::max(ask_last_, record.asks);
  change(rollout)->set(*terms, device, std::move(record), true, known->online, known->record.first_seen);
}

void Devices::loaded(Now now) {
  for (auto& [id, device] : roster_.all()) {
    device.heard = now.monotonic;
    place(id, device, nullptr);
  }
}

Result<bool> Devices::hello(const wire::Hello& hello, const Origin& origin, Now now, Effects& effects) {
  if (roster_.is_repeated(hello)) return false;
  if (auto status = roster_.check(hello, origin, now.wall); !status.has_value()) {
    if (status.error().code == Code::stale && roster_.note_stale(hello, now, effects)) save(hello.device, effects);
    const auto code = status.error().code;
    if (code == Code::untrusted_key) roster_.note_other_key(hello, now.wall);
    if (roster_.enrolments().is_demanded() && code != Code::stale && code != Code::unavailable)
      roster_.enrolments().note_refused(hello, origin.login, status.error(), now.wall);
    return fail(std::move(status.error()));
  }
  auto& device = roster_.describe(hello, now, effects, origin.login);
  place(hello.device, device, &effects);
  mark_seen(hello.device, device.target);
  return true;
}

bool Devices::adopt_step(const wire::Hello& hello, Now now, Effects& effects) {
  const auto& device = *roster_.find(hello.device);
  // A report that is still to come says it better.
  if (hello.last_sequence != device.record.applied_sequence || hello.step == wire::Step::idle) return false;
  const auto* members = this->members(hello.rollout);
  if (members == nullptr || objection(hello.rollout, hello.device, hello.attempt)) return false;
  MemberRecord member;
  if (const auto* known = members->find(hello.device); known != nullptr) member = known->record;
  if (member.step == hello.step && member.attempt == hello.attempt) return false;
  if (!may_follow(member.step, member.attempt, hello.step, hello.attempt)) return false;
  member.step = hello.step;
  member.attempt = hello.attempt;
  member.code = Code::ok;
  member.reason.clear();
  member.again = false;
  member.asks = 0;
  member.report_sequence = device.record.applied_sequence;
  member.updated = now.wall;
  save_member(hello.rollout, hello.device, std::move(member), effects);
  return true;
}

// Its turn may have come while it was away, or with an ack that was lost; or its question was lost.
bool Devices::queue_for_turn(const wire::Hello& hello, Effects& effects) {
  const auto& device = *roster_.find(hello.device);
  if (hello.last_sequence != device.record.applied_sequence || !hello.asks_start) return false;
  auto* const members = change(hello.rollout);
  const auto* known = members == nullptr ? nullptr : members->find(hello.device);
  if (known == nullptr || known->record.attempt != hello.attempt) return false;
  if (known->record.granted == hello.attempt) {
    members->repeat_turn(hello.device);
    return true;
  }
  if (known->record.asks != 0) return false;
  auto member = known->record;
  member.asks = ++ask_last_;
  save_member(hello.rollout, hello.device, std::move(member), effects);
  return true;
}

Result<bool> Devices::report(const wire::Report& report, Now now, Effects& effects) {
  auto* const device = roster_.find(report.device);
  if (device == nullptr) {
    return fail(Code::not_found, "device " + report.device.str() + " is not known here: it must say hello first");
  }
  device->heard = now.monotonic;
  if (report.sequence != device->record.applied_sequence + 1) return false;
  auto& record = device->record;
  record.applied_sequence = report.sequence;
  record.last_seen = now.wall;
  note_running(report, record.description);
  const ReportSummary summary{report.sequence, report.rollout, report.attempt,       report.step,
                              report.code,     report.reason,  report.bytes_fetched, now.wall};
  effects.emplace_back(SaveReport{report.device, report.sequence, encode(summary)});
  apply(report, now, effects);
  place(report.device, *device, &effects);
  mark_seen(report.device, report.rollout);
  save(report.device, effects);
  return true;
}

std::optional<std::string> Devices::objection(const ManifestId& rollout, const DeviceId& device,
                                              std::uint32_t attempt) const {
  const auto& terms = *offers_.find(rollout);
  const auto& record = roster_.find(device)->record;
  // A member was one of the rollout's devices when it began, and may end what it has begun.
  if (!Offers::is_for(terms, record) && members_.at(rollout).find(device) == nullptr)
    return "the product and the groups of the device are not those of the rollout (product " + terms.product + ")";
  const auto attempts =
      std::uint64_t{std::max<std::uint32_t>(terms.policy().attempts_max, 1)} * (std::uint64_t{terms.retry_epoch} + 1);
  if (attempt > attempts + limits::kAttemptsBesidePolicyMax)
    return "attempt " + std::to_string(attempt) + " is more than the policy allows";
  return std::nullopt;
}

bool Devices::may_fetch(const ManifestId& rollout, const DeviceId& device, const PackId& pack) const {
  const auto* terms = offers_.find(rollout);
  const auto* known = roster_.find(device);
  if (terms == nullptr || terms->archived || !terms->goes_on || known == nullptr) return false;
  if (!Offers::is_for(*terms, known->record) || !std::ranges::binary_search(terms->release->packs, pack)) return false;
  const auto& policy = terms->policy();
  const auto point = wire::placement_point(policy.salt, device);
  return wire::first_wave(policy, terms->wave_limits, device, point).has_value();
}

void Devices::apply(const wire::Report& report, Now now, Effects& effects) {
  const auto device = "device " + report.device.str() + " reports ";
  const auto* terms = offers_.find(report.rollout);
  if (terms == nullptr && report.code != Code::ok)
    effects.emplace_back(
        Note{LogLevel::warning, device + std::string(code_name(report.code)) + ": " + report.reason, report.device});
  if (terms == nullptr || terms->archived) return;
  if (const auto why = objection(report.rollout, report.device, report.attempt)) {
    effects.emplace_back(Note{LogLevel::warning,
                              device + std::string(wire::step_name(report.step)) + " for rollout " +
                                  report.rollout.short_hex() + ": not counted, " + *why,
                              report.device});
    return;
  }
  auto& members = *change(report.rollout);
  const auto* known = members.find(report.device);
  const auto member = known == nullptr ? MemberRecord{} : known->record;
  if (!may_follow(member.step, member.attempt, report.step, report.attempt)) {
    effects.emplace_back(Note{LogLevel::warning,
                              device + std::string(wire::step_name(report.step)) + " after " +
                                  std::string(wire::step_name(member.step)) + " in attempt " +
                                  std::to_string(report.attempt) + ": not counted",
                              report.device});
    return;
  }
  auto next = moved(member, *terms, report, now, members);
  if (standing_of(member) == Standing::failed && standing_of(next) != Standing::failed) members.note_recovered();
  if (standing_of(next) != Standing::waiting && standing_of(next) != Standing::left_out)
    roster_.note_part(*roster_.find(report.device));
  save_member(report.rollout, report.device, std::move(next), effects);
}

MemberRecord Devices::moved(MemberRecord member, const Terms& terms, const wire::Report& report, Now now,
                            Members& members) {
  const bool asks = report.asks_start && report.step == wire::Step::waiting;
  const bool asked_before = member.asks != 0 && member.attempt == report.attempt;
  // It has its turn, and does not know that yet, or had to wait for something else meanwhile.
  const bool has_turn = asks && member.granted != 0 && member.granted == report.attempt;
  if (has_turn) {
    member.asks = 0;
    members.repeat_turn(report.device);
  } else if (!asks || !asked_before) {
    member.asks = asks ? ++ask_last_ : 0;
  }
  // An attempt that has ended, or was given up, has no turn any more.
  if (wire::is_final(report.step)) member.granted = 0;
  // A report that is not about the transfer (a gate that is not obeyed, say) carries no plan: the attempt's stands.
  if (report.bytes_full != 0 || report.attempt != member.attempt) {
    member.bytes_planned = std::min(report.bytes_planned, terms.release->bytes_packs);
    member.bytes_fetched = std::min(report.bytes_fetched, terms.release->bytes_packs);
    member.bytes_full = std::min(report.bytes_full, terms.release->bytes_full);
    member.pack_kind = report.pack_kind;
  }
  member.step = report.step;
  member.attempt = report.attempt;
  member.again = report.again;
  member.code = report.code;
  member.reason = report.reason;
  if (report.downtime_ms > 0) member.downtime_ms = report.downtime_ms;
  if (report.switch_ms > 0) member.switch_ms = report.switch_ms;
  member.report_sequence = report.sequence;
  member.updated = now.wall;
  return member;
}

void Devices::save(const DeviceId& device, Effects& effects) {
  effects.emplace_back(SaveDevice{device, encode(roster_.find(device)->record)});
  for (const auto& rollout : unsaved_.take(device)) {
    const auto members = members_.find(rollout);
    if (members == members_.end()) continue;
    const auto* member = members->second.find(device);
    if (member == nullptr) continue;
    members->second.mark_stored(device);
    effects.emplace_back(SaveMember{rollout, device, encode(member->record)});
    effects.emplace_back(ShowStatus{rollout});
  }
}

void Devices::send_ack(const DeviceId& device, Effects& effects, std::vector<wire::Gate> endings) const {
  effects.emplace_back(
      SendAck{device, {roster_.find(device)->record.applied_sequence, Code::ok, "", 0, 0}, std::move(endings)});
}

void Devices::heard(const DeviceId& device, Now now) {
  auto* const found = roster_.find(device);
  if (found == nullptr) return;
  found->heard = now.monotonic;
  mark_seen(device, found->target);
}

void Devices::is_there(const DeviceId& device) {
  auto* const found = roster_.find(device);
  if (found != nullptr && roster_.connect(*found)) mark_seen(device, found->target);
}

void Devices::gone(const DeviceId& device, Now now) {
  if (auto* const found = roster_.find(device); found != nullptr) roster_.disconnect(*found, now);
}

Status Devices::forget(const DeviceId& device, OldKey old_key, WallMs now, Effects& effects) {
  const auto* found = roster_.find(device);
  const bool lifted = old_key == OldKey::allowed && roster_.tombstones().lift(device, effects);
  if (found == nullptr && lifted) {
    effects.emplace_back(
        Note{LogLevel::notice, "device " + device.str() + " may come again by the keys that it had", device});
    return {};
  }
  if (found == nullptr) return fail(Code::not_found, "no device " + device.str() + " is known here");
  if (old_key == OldKey::taken_back && !found->record.awaits_key)
    roster_.tombstones().add(device, found->record.key, now, effects);
  for (const auto& [rollout, members] : members_) {
    if (members.find(device) != nullptr) drop_member(rollout, device, effects);
  }
  effects.emplace_back(RemoveDevice{device, found->record.applied_sequence});
  roster_.erase(device);
  unsaved_.forget(device);
  effects.emplace_back(Note{LogLevel::notice,
                            "device " + device.str() + " is forgotten; the next hello under this name pins " +
                                (old_key == OldKey::taken_back ? "a key, but not the one that it had" : "its key"),
                            device});
  return {};
}

Status Devices::replace(const DeviceId& device, trust::KeyId key, WallMs now, Effects& effects) {
  auto* const found = roster_.find(device);
  if (found == nullptr) return fail(Code::not_found, "no device " + device.str() + " is known here");
  for (const auto& [rollout, members] : members_) {
    if (members.find(device) != nullptr) drop_member(rollout, device, effects);
  }
  roster_.await_key(device, *found, key, now, effects);
  place(device, *found, &effects);
  save(device, effects);
  effects.emplace_back(Note{LogLevel::notice,
                            "device " + device.str() + " is replaced: its key is taken back, and " +
                                (key == 0 ? "the next hello under this name pins another one"
                                          : "a hello by the key that was named pins that"),
                            device});
  return {};
}

void Devices::enrol(wire::Enrolment enrolment, Effects& effects) {
  const auto device = enrolment.device;
  roster_.enrolments().set(std::move(enrolment));
  auto* const found = roster_.find(device);
  if (found == nullptr) return;
  roster_.enrolments().apply(device, found->record.description);
  place(device, *found, &effects);
  save(device, effects);
}

void Devices::mend_times(Now now, Effects& effects) {
  for (auto& [id, device] : roster_.all()) {
    auto& record = device.record;
    if (std::max({record.first_seen, record.last_seen, record.cloned}) <= now.wall) continue;
    for (auto* const time : {&record.first_seen, &record.last_seen, &record.cloned}) *time = std::min(*time, now.wall);
    for (auto& [rollout, members] : members_) {
      if (members.find(id) != nullptr) change(rollout)->set_known_since(*offers_.find(rollout), id, record.first_seen);
    }
    save(id, effects);
  }
}

void Devices::count_bytes(const DeviceId& device, const std::optional<ManifestId>& rollout, std::uint64_t bytes) {
  auto& known = *roster_.find(device);
  known.record.bytes_sent += bytes;
  roster_.note_part(known);
  const auto members = rollout.has_value() ? members_.find(*rollout) : members_.end();
  const bool is_member = members != members_.end() && members->second.find(device) != nullptr;
  unsaved_.count(device, is_member ? rollout : std::nullopt);
  if (is_member && members->second.add_bytes(*offers_.find(*rollout), device, bytes)) changed_.insert(*rollout);
}

void Devices::save_bytes(std::size_t devices_max, Effects& effects) {
  for (std::size_t i = 0; i < devices_max; ++i) {
    const auto device = unsaved_.next();
    if (!device.has_value()) return;
    save(*device, effects);
  }
}

CountChanges Devices::take_changes() {
  CountChanges changes;
  changes.reserve(changed_.size());
  for (const auto& rollout : changed_) {
    const auto members = members_.find(rollout);
    if (members != members_.end()) changes.push_back(members->second.take_change(rollout));
  }
  changed_.clear();
  return changes;
}

const Members* Devices::members(const ManifestId& rollout) const noexcept {
  const auto found = members_.find(rollout);
  return found == members_.end() ? nullptr : &found->second;
}

std::uint64_t Devices::bytes_sent(const ManifestId& rollout, const DeviceId& device) const noexcept {
  const auto* members = this->members(rollout);
  const auto* member = members == nullptr ? nullptr : members->find(device);
  return member == nullptr ? 0 : member->record.bytes_sent;
}

void Devices::assert_invariants() const {
  roster_.assert_invariants();
  offers_.assert_invariants();
  unsaved_.assert_invariants();
  INSTAR_ASSERT(members_.size() == offers_.size());
  for (const auto& [rollout, members] : members_) {
    INSTAR_ASSERT(offers_.find(rollout) != nullptr);
    members.assert_invariants();
    for (const auto& [device, member] : members.all()) {
      INSTAR_ASSERT(roster_.find(device) != nullptr);
      INSTAR_ASSERT(member.record.asks <= ask_last_);
    }
  }
  for (const auto& [id, device] : roster_.all())
    INSTAR_ASSERT(!device.target.has_value() || offers_.find(*device.target) != nullptr);
}

}  // namespace instar::rollout
