// What a rollout that has ended hid: the newest one before it that devices could still take is offered again.
#include <algorithm>
#include <map>
#include <utility>

#include "core/rollout/rollouts/rollouts.hpp"

namespace instar::rollout {

OfferState Rollouts::offer_state(const ManifestId& rollout, WallMs now) const {
  const auto& found = rollouts_.at(rollout);
  const auto& record = found.record();
  if (!goes_on(record.state) || !found.is_in_force()) return OfferState::ended;
  const auto expires = found.release()->expires;
  const bool is_expired = expires.value != 0 && expires <= now;
  return is_expired || record.archived.has_value() ? OfferState::lapsed : OfferState::stands;
}

void Rollouts::settle(Context& context) {
  take_counts(std::exchange(context.others, {}), context.effects);
  while (const auto ended = std::exchange(context.ended, std::nullopt)) {
    bring_back(*ended, context);
    take_counts(std::exchange(context.others, {}), context.effects);
    find_superseded(rollouts_.at(*ended).record().product, context.effects);
  }
}

// Devices that are there receive its last gate on each of its topics: also where it was current no more. The message
// that stays there is the current one's.
void Rollouts::bring_back(const ManifestId& ended, Context& context) {
  const auto& rollout = rollouts_.at(ended);
  std::set<ManifestId> covered;
  for (const auto& group : rollout.record().groups) {
    const auto current = catalog_.by_audience().at({group, rollout.record().product});
    const auto gate = current == ended ? std::nullopt : rollout.ending(group, context.now, context.held);
    if (!gate.has_value()) continue;
    context.effects.emplace_back(SendGate{*gate});
    covered.insert(current);
  }
  const auto back = choose_current(context);
  for (const auto& id : covered)
    if (!back.contains(id)) rollouts_.at(id).send_gates(context);
}

std::set<ManifestId> Rollouts::choose_current(Context& context) {
  const auto changed = catalog_.choose([&](const ManifestId& id) { return offer_state(id, context.now.wall); });
  std::map<ManifestId, std::vector<Audience>> back;
  for (const auto& audience : changed) back[catalog_.by_audience().at(audience)].push_back(audience);
  std::set<ManifestId> out;
  for (const auto& [id, audiences] : back) {
    for (const auto& audience : audiences) context.effects.emplace_back(OfferManifest{audience, id});
    rollouts_.at(id).come_back(audiences, context);
    out.insert(id);
  }
  return out;
}

std::vector<wire::Gate> Rollouts::endings_for(const wire::Description& device, const std::optional<ManifestId>& at,
                                              Now now) const {
  std::vector<wire::Gate> out;
  const auto add = [&](const ManifestId& id, bool is_running) {
    const auto* found = find(id);
    if (found == nullptr || found->record().product != device.product) return;
    if (is_running && found->record().state != RolloutState::reverted) return;
    std::optional<wire::Gate> gate;
    for (const auto& group : found->record().groups) {
      if (std::ranges::none_of(device.groups, [&](const GroupPath& own) { return group.covers(own); })) continue;
      if (catalog_.is_current_for({group, device.product}, id)) return;  // its gate stands there
      if (!gate.has_value()) gate = found->ending(group, now, held_);
    }
    if (gate.has_value()) out.push_back(std::move(*gate));
  };
  if (at.has_value()) add(*at, false);
  if (device.running.has_value() && at != device.running->manifest) add(device.running->manifest, true);
  return out;
}

}  // namespace instar::rollout
