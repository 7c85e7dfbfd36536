#include "core/rollout/devices/members.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {

bool is_untouched(const MemberRecord& member) noexcept {
  return member.step == wire::Step::waiting && member.report_sequence == 0 && member.bytes_sent == 0;
}

bool has_begun(const MemberRecord& member) noexcept {
  const auto standing = standing_of(member);
  return member.granted != 0 || member.attempt > 1 || (standing != Standing::waiting && standing != Standing::left_out);
}

Members::Members(const wire::Policy& policy)
    : waves_(wire::wave_count(policy)), named_unknown_(wire::wave_count(policy)) {
  for (std::size_t wave = 0; wave < policy.waves.size(); ++wave) {
    for (const auto& name : policy.waves[wave].devices) {
      ++named_unknown_[wave];
      if (const auto id = DeviceId::parse(name); id.has_value()) named_in_[*id].push_back(wave);
    }
  }
}

const Member* Members::find(const DeviceId& device) const noexcept {
  const auto found = members_.find(device);
  return found == members_.end() ? nullptr : &found->second;
}

Weight Members::weight_of(const Member& member) noexcept {
  if (member.wave < 0) return Weight::none;
  return member.known || member.record.bytes_sent > 0 ? Weight::full : Weight::none;
}

// A latecomer goes with the next wave that opens, and is a latecomer there too.
std::int16_t Members::wave_for(const Terms& terms, const DeviceId& device, const Member& member) {
  const auto first = wire::first_wave(terms.policy(), terms.wave_limits, device, member.point);
  if (!first.has_value()) return -1;
  auto wave = *first;
  while (wave < terms.wave_opened.size() && member.known_since > terms.wave_opened[wave]) ++wave;
  const bool is_late = wave == terms.wave_opened.size();
  return static_cast<std::int16_t>(is_late || member.record.bytes_sent > 0 ? *first : wave);
}

void Members::set(const Terms& terms, const DeviceId& device, MemberRecord record, bool stored, bool is_online,
                  WallMs known_since) {
  const auto [it, is_new] = members_.try_emplace(device);
  auto& member = it->second;
  if (is_new) {
    member.point = wire::placement_point(terms.policy().salt, device);
    member.known_since = known_since;
    member.seen = is_online;
  } else {
    take_out(device, member);
  }
  turns_.update(device, is_new ? nullptr : &member.record, record);
  updated_ = std::max(updated_, record.updated);
  member.record = std::move(record);
  member.stored = stored;
  put_in(terms, device, member);
}

void Members::remove(const DeviceId& device) {
  const auto member = members_.find(device);
  INSTAR_ASSERT(member != members_.end());
  take_out(device, member->second);
  turns_.remove(device, member->second.record);
  members_.erase(member);
}

void Members::clear() {
  for (const auto& [device, member] : members_) take_out(device, member);
  members_.clear();
  turns_.clear();
  counts_ = {};
  weighed_ = {};
  not_admitted_ = known_ = late_begun_ = late_not_ended_ = asking_settled_ = 0;
  waves_.assign(waves_.size(), {});
}

bool Members::mark_seen(const DeviceId& device) {
  const auto found = members_.find(device);
  if (found == members_.end() || found->second.seen) return false;
  count(found->second, false);
  found->second.seen = true;
  count(found->second, true);
  return true;
}

void Members::mark_stored(const DeviceId& device) {
  members_.at(device).stored = true;
}

std::vector<DeviceId> Members::weigh(const std::vector<WallMs>& opened_before, const Terms& terms) {
  std::vector<DeviceId> moved;
  for (auto& [device, member] : members_) {
    take_out(device, member);
    const bool was_known = !opened_before.empty() && member.known_since <= opened_before.front();
    if (was_known && member.known_since > terms.wave_opened.front()) {
      member.known_since = terms.wave_opened.front();
      moved.push_back(device);
    }
    put_in(terms, device, member);
  }
  return moved;
}

void Members::set_known_since(const Terms& terms, const DeviceId& device, WallMs known_since) {
  auto& member = members_.at(device);
  take_out(device, member);
  member.known_since = known_since;
  put_in(terms, device, member);
}

bool Members::add_bytes(const Terms& terms, const DeviceId& device, std::uint64_t bytes) {
  auto& member = members_.at(device);
  const auto before = member.weight;
  take_out(device, member);
  member.record.bytes_sent += bytes;
  put_in(terms, device, member);
  return member.weight != before;
}

void Members::admit(const Terms& terms, const IsOnline& is_online) {
  for (auto& [device, member] : members_) {
    take_out(device, member);
    member.seen = is_online(device);
    put_in(terms, device, member);
  }
}

std::optional<TurnRequest> Members::next_request(Latecomers latecomers) {
  while (const auto device = turns_.first_to_repeat()) {
    const auto* member = find(*device);
    if (member != nullptr && member->record.step == wire::Step::waiting &&
        member->record.granted == member->record.attempt)
      return TurnRequest{*device, member->record.attempt, true};
    turns_.drop_repeat();
  }
  if (latecomers == Latecomers::wait && asking_settled_ == 0) return std::nullopt;
  const auto device = latecomers == Latecomers::may_begin
                          ? turns_.first_asking()
                          : turns_.first_asking([this](const DeviceId& id) { return !needs_room(members_.at(id)); });
  if (!device.has_value()) return std::nullopt;
  return TurnRequest{*device, members_.at(*device).record.attempt, false};
}

bool Members::has_turn(const DeviceId& device, std::uint32_t attempt) const noexcept {
  const auto* member = find(device);
  return member != nullptr && member->record.granted == attempt && member->record.attempt == attempt &&
         member->record.asks == 0;
}

std::optional<std::uint32_t> Members::point_after(std::uint64_t count) const {
  if (members_.size() <= count) return std::nullopt;
  std::vector<std::uint32_t> points;
  points.reserve(members_.size());
  for (const auto& [device, member] : members_) points.push_back(member.point);
  const auto first_out = points.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(points.begin(), first_out, points.end());
  return *first_out;
}

std::uint64_t Members::failed_since(std::optional<WallMs> since) const {
  std::uint64_t failed = 0;
  for (const auto& [device, member] : members_) {
    const auto& record = member.record;
    const bool ended = wire::is_final(record.step) && record.step != wire::Step::committed && !record.again;
    failed += ended && (!since.has_value() || record.updated > *since) ? 1 : 0;
  }
  return failed;
}

// Where nobody was known, a last wave is not over because of what came of the waves before it.
Tally Members::tally() const {
  const bool late_go_on = known_ == 0 && waves_.size() > 1 && late_not_ended_ > 0;
  return {weighed_.devices + not_admitted_,
          weighed_.at(wire::Step::committed),
          weighed_.failed,
          weighed_.all_ended() && not_admitted_ == 0 && !late_go_on,
          waves_,
          named_unknown_,
          known_,
          late_begun_,
          late_not_ended_};
}

CountChange Members::take_change(const ManifestId& rollout) {
  return {rollout, tally(), std::exchange(updated_, {}), std::exchange(recovered_, 0)};
}

void Members::count(const Member& member, bool in) {
  const auto change = [&](Counts& counts) { in ? counts.add(member.record) : counts.subtract(member.record); };
  change(counts_);
  if (member.weight == Weight::full) change(weighed_);
  if (member.known) known_ += in ? 1 : -1;
  const bool is_late = member.wave >= 0 && member.weight == Weight::none;
  if (is_late && has_begun(member.record)) late_begun_ += in ? 1 : -1;
  if (is_late && !has_ended(standing_of(member.record))) late_not_ended_ += in ? 1 : -1;
  if (member.record.asks != 0 && !needs_room(member)) asking_settled_ += in ? 1 : -1;
  if (member.wave < 0) {
    not_admitted_ += in ? 1 : -1;
  } else {
    count_wave(waves_.at(static_cast<std::size_t>(member.wave)), member, in);
  }
}

bool Members::needs_room(const Member& member) noexcept {
  return member.weight == Weight::none && !has_begun(member.record);
}

void Members::count_wave(WaveCounts& wave, const Member& member, bool in) {
  const auto standing = standing_of(member.record);
  const auto change = [in](std::uint64_t& number) {
    INSTAR_ASSERT(in || number > 0);
    number += in ? 1 : -1;
  };
  if (member.weight == Weight::none) return change(wave.late);
  change(wave.admitted);
  switch (standing) {
    case Standing::waiting: change(wave.waiting); break;
    case Standing::in_flight: change(wave.in_flight); break;
    case Standing::committed: change(wave.committed); break;
    case Standing::failed: change(wave.failed); break;
    case Standing::retrying: change(wave.retrying); break;
    case Standing::left_out: change(wave.left_out); break;
  }
  if (!has_ended(standing) && !member.seen) change(wave.unseen);
}

void Members::put_in(const Terms& terms, const DeviceId& device, Member& member) {
  member.known = !terms.wave_opened.empty() && member.known_since <= terms.wave_opened.front();
  if (member.weight == Weight::none) member.wave = wave_for(terms, device, member);
  member.weight = weight_of(member);
  count_named(device, member, true);
  count(member, true);
}

void Members::take_out(const DeviceId& device, const Member& member) {
  count(member, false);
  count_named(device, member, false);
}

// A latecomer that a wave names is waited for as one that nobody knows: its hello proves nothing.
void Members::count_named(const DeviceId& device, const Member& member, bool in) {
  const auto named = named_in_.find(device);
  if (named == named_in_.end() || (member.wave >= 0 && member.weight == Weight::none)) return;
  for (const auto wave : named->second) {
    INSTAR_ASSERT(!in || named_unknown_[wave] > 0);
    named_unknown_[wave] += in ? -1 : 1;
  }
}

void Members::assert_invariants() const {
  turns_.assert_invariants();
  Counts counts;
  Counts weighed;
  std::uint64_t not_admitted = 0;
  std::vector<WaveCounts> waves(waves_.size());
  std::size_t asking = 0;
  std::uint64_t asking_settled = 0;
  std::uint64_t late_begun = 0;
  std::uint64_t late_not_ended = 0;
  std::uint64_t known = 0;
  for (const auto& [device, member] : members_) {
    counts.add(member.record);
    if (member.weight == Weight::full) weighed.add(member.record);
    INSTAR_ASSERT(member.wave >= 0 || member.weight == Weight::none);
    not_admitted += member.wave < 0 ? 1 : 0;
    if (member.wave >= 0) count_wave(waves.at(static_cast<std::size_t>(member.wave)), member, true);
    known += member.known ? 1 : 0;
    const bool is_late = member.wave >= 0 && member.weight == Weight::none;
    late_begun += is_late && has_begun(member.record) ? 1 : 0;
    late_not_ended += is_late && !has_ended(standing_of(member.record)) ? 1 : 0;
    if (member.record.asks == 0) continue;
    ++asking;
    asking_settled += needs_room(member) ? 0 : 1;
    INSTAR_ASSERT(turns_.asks(device, member.record.asks));
  }
  INSTAR_ASSERT(counts == counts_ && weighed == weighed_ && not_admitted == not_admitted_ && waves == waves_);
  INSTAR_ASSERT(asking == turns_.asking());
  INSTAR_ASSERT(asking_settled == asking_settled_ && known == known_);
  INSTAR_ASSERT(late_begun == late_begun_ && late_not_ended == late_not_ended_);
  for (const auto& device : turns_.in_flight()) INSTAR_ASSERT(members_.contains(device));
}

}  // namespace instar::rollout
