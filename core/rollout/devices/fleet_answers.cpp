// Who is a member of what, and what the rollout's side asks.
#include <algorithm>
#include <ranges>
#include <string>
#include <vector>

#include "core/base/assert.hpp"
#include "core/rollout/devices/devices.hpp"

namespace instar::rollout {

CountChanges Devices::offer(const ManifestId& rollout, Terms terms, Effects& effects) {
  const auto* before = offers_.find(rollout);
  const bool wave_opened = before != nullptr && terms.wave_limits.size() > before->wave_limits.size();
  const auto opened_before = before == nullptr ? std::vector<WallMs>() : before->wave_opened;
  const bool times_mended =
      !std::ranges::equal(opened_before, terms.wave_opened | std::views::take(std::ssize(opened_before)));
  const auto product = terms.product;
  load_terms(rollout, std::move(terms));
  if (times_mended) keep_known(rollout, opened_before, effects);
  if (wave_opened) {
    members_.at(rollout).admit(*offers_.find(rollout),
                               [this](const DeviceId& device) { return roster_.is_online(device); });
  } else {
    place_product(product, effects);
  }
  return take_changes();
}

// Who was known when the rollout began is so by the times as they are now, also after a restart: waves whose devices
// all came too late would have nothing to prove.
void Devices::keep_known(const ManifestId& rollout, const std::vector<WallMs>& opened_before, Effects& effects) {
  auto& members = members_.at(rollout);
  for (const auto& id : members.weigh(opened_before, *offers_.find(rollout))) {
    auto& record = roster_.find(id)->record;
    record.first_seen = std::min(record.first_seen, members.find(id)->known_since);
    save(id, effects);
  }
}

Counts Devices::archive(const ManifestId& rollout, Effects& effects) {
  auto counts = members_.at(rollout).counts();
  drop_members(rollout, effects);
  offers_.mark_archived(rollout);
  return counts;
}

void Devices::withdraw(const ManifestId& rollout, Effects& effects) {
  drop_members(rollout, effects);
  members_.erase(rollout);
  offers_.erase(rollout);
  for (auto& [id, device] : roster_.all()) {
    if (device.target == rollout) device.target.reset();
  }
}

std::optional<std::uint32_t> Devices::point_after(const ManifestId& rollout, std::uint64_t count) const {
  return members_.at(rollout).point_after(count);
}

// A device that has its turn and is silent for long gives its place away; when it comes back it goes on all the same,
// so that for a while more than in_flight_max may be under way. The other way round, devices that died would stop the
// rollout for good.
std::uint64_t Devices::in_flight(const ManifestId& rollout, std::int64_t silent_ms, MonotonicMs now) const {
  const auto& devices = members_.at(rollout).turns().in_flight();
  return static_cast<std::uint64_t>(std::ranges::count_if(devices, [&](const DeviceId& id) {
    const auto* device = roster_.find(id);
    return device != nullptr && (device->online || now - device->heard < silent_ms);
  }));
}

std::optional<TurnRequest> Devices::next_request(const ManifestId& rollout, Latecomers latecomers) {
  return members_.at(rollout).next_request(latecomers);
}

CountChanges Devices::give_turn(const ManifestId& rollout, const TurnRequest& request, Effects& effects) {
  auto& members = members_.at(rollout);
  const auto* member = members.find(request.device);
  INSTAR_ASSERT(member != nullptr && member->record.attempt == request.attempt);
  if (request.given_before) {
    members.turn_repeated();
  } else {
    auto record = member->record;
    record.asks = 0;
    record.granted = request.attempt;
    save_member(rollout, request.device, std::move(record), effects);
  }
  effects.emplace_back(SendAck{
      request.device,
      {roster_.find(request.device)->record.applied_sequence, Code::ok, "", rollout.prefix64(), request.attempt}});
  return take_changes();
}

std::uint64_t Devices::failed_since(const ManifestId& rollout, std::optional<WallMs> since) const {
  return members_.at(rollout).failed_since(since);
}

std::vector<SequenceClaim> Devices::claims(std::string_view product, std::uint32_t since) const {
  std::map<std::pair<std::vector<GroupPath>, std::uint64_t>, std::uint64_t> counts;
  for (const auto& [id, device] : roster_.all()) {
    const auto& said = device.record.description;
    if (said.product == product) ++counts[{said.groups, said.root_version < since ? 0 : said.highest_sequence}];
  }
  std::vector<SequenceClaim> out;
  out.reserve(counts.size());
  for (const auto& [of, devices] : counts) out.push_back({of.first, of.second, devices});
  return out;
}

void Devices::place(const DeviceId& id, Device& device, Effects* effects) {
  const auto target = offers_.target_of(device.record);
  if (effects != nullptr && device.target.has_value() && device.target != target) {
    const auto* old = members(*device.target);
    const auto* member = old == nullptr ? nullptr : old->find(id);
    if (member != nullptr && is_untouched(member->record)) drop_member(*device.target, id, *effects);
  }
  device.target = target;
  if (!target.has_value()) return;
  auto& members = members_.at(*target);
  const auto& terms = *offers_.find(*target);
  const bool runs_it =
      device.record.description.running.has_value() && device.record.description.running->manifest == *target;
  const auto* known = members.find(id);
  if (known != nullptr && (effects == nullptr || !runs_it || !is_untouched(known->record))) return;
  MemberRecord member;
  member.updated = terms.started;
  if (!runs_it || effects == nullptr) {
    change(*target)->set(terms, id, std::move(member), false, device.online, device.record.first_seen);
    if (effects != nullptr) effects->emplace_back(ShowStatus{*target});
    return;
  }
  // It runs what this rollout brings, though this store knows no report of that: an earlier store did.
  member.step = wire::Step::committed;
  save_member(*target, id, std::move(member), *effects);
}

void Devices::place_product(std::string_view product, Effects& effects) {
  for (auto& [id, device] : roster_.all()) {
    if (device.record.description.product == product) place(id, device, &effects);
  }
}

void Devices::mark_seen(const DeviceId& device, const std::optional<ManifestId>& rollout) {
  const auto members = rollout.has_value() ? members_.find(*rollout) : members_.end();
  if (members != members_.end() && members->second.mark_seen(device)) changed_.insert(*rollout);
}

void Devices::save_member(const ManifestId& rollout, const DeviceId& device, MemberRecord record, Effects& effects) {
  effects.emplace_back(SaveMember{rollout, device, encode(record)});
  effects.emplace_back(ShowStatus{rollout});
  const auto& known = *roster_.find(device);
  change(rollout)->set(*offers_.find(rollout), device, std::move(record), true, known.online, known.record.first_seen);
  unsaved_.settle(device, rollout);
}

void Devices::drop_member(const ManifestId& rollout, const DeviceId& device, Effects& effects) {
  auto& members = *change(rollout);
  if (members.find(device)->stored) effects.emplace_back(RemoveMember{rollout, device});
  effects.emplace_back(ShowStatus{rollout});
  members.remove(device);
  unsaved_.settle(device, rollout);
}

void Devices::drop_members(const ManifestId& rollout, Effects& effects) {
  auto& members = *change(rollout);
  for (const auto& [device, member] : members.all()) {
    if (member.stored) effects.emplace_back(RemoveMember{rollout, device});
    unsaved_.settle(device, rollout);
  }
  members.clear();
}

Members* Devices::change(const ManifestId& rollout) {
  const auto found = members_.find(rollout);
  if (found == members_.end()) return nullptr;
  changed_.insert(rollout);
  return &found->second;
}

}  // namespace instar::rollout
