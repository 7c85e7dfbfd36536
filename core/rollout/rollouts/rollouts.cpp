#include "core/rollout/rollouts/rollouts.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/rollout/rollouts/supersession.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {

void Rollouts::load(const ManifestId& rollout, RolloutRecord record, std::shared_ptr<const Release> release) {
  catalog_.add(rollout, record);
  sequences_.add(rollout, record);
  const auto at = rollouts_.insert_or_assign(rollout, Rollout(rollout, std::move(record), std::move(release))).first;
  at->second.set_in_force(is_in_force(at->second));
  sequences_.set_in_force(rollout, at->second.is_in_force());
}

bool Rollouts::is_in_force(const Rollout& rollout) const {
  return !keys_.has_value() || std::ranges::all_of(rollout.record().groups, [&](const GroupPath& group) {
    return trust::reach(keys_->keys, rollout.release()->signers, group);
  });
}

void Rollouts::take_keys(KeysInForce keys, Fleet& fleet, Effects& effects) {
  keys_ = std::move(keys);
  for (auto& [id, rollout] : rollouts_) {
    const bool in_force = is_in_force(rollout);
    if (in_force == rollout.is_in_force()) continue;
    rollout.set_in_force(in_force);
    sequences_.set_in_force(id, in_force);
    take_counts(fleet.offer(id, rollout.terms(), effects), effects);
    effects.emplace_back(ShowStatus{id});
    find_superseded(rollout.record().product, effects);
    if (in_force) continue;
    effects.emplace_back(Note{LogLevel::notice,
                              "rollout " + id.short_hex() + " of " + rollout.record().product + " " +
                                  rollout.record().release +
                                  " is signed by keys that the root document does not name any more for its groups: no "
                                  "device takes it, and its sequence keeps no other out"});
  }
}

void Rollouts::withdraw_unsigned(Fleet& fleet, Now now, Effects& effects) {
  for (auto& [id, rollout] : rollouts_) {
    if (rollout.is_in_force()) continue;
    auto context = context_of(fleet, now, effects);
    rollout.end_unsigned(context);
    settle(context);
  }
  // Also after those that had come to their end before: and what is signed well again comes back too.
  auto context = context_of(fleet, now, effects);
  choose_current(context);
  for (const auto& [audience, id] : catalog_.by_audience())
    if (!rollouts_.at(id).is_in_force()) effects.emplace_back(ClearManifest{audience});
}

Sequences::Next Rollouts::next_sequence(std::string_view product, const std::vector<GroupPath>& groups,
                                        const Fleet& fleet) const {
  return sequences_.next(product, groups, fleet.claims(product, keys_.has_value() ? keys_->since : 0));
}

void Rollouts::loaded(Now now) {
  std::set<std::string> products;
  for (auto& [id, rollout] : rollouts_) {
    rollout.loaded(now);
    products.insert(rollout.record().product);
  }
  catalog_.choose([&](const ManifestId& id) { return offer_state(id, now.wall); });
  Effects shown;  // each rollout's status is, after a start
  for (const auto& product : products) find_superseded(product, shown);
}

void Rollouts::take_counts(const CountChanges& changes, Effects& effects) {
  for (const auto& change : changes) {
    if (const auto found = rollouts_.find(change.rollout); found != rollouts_.end())
      found->second.take_counts(change, effects);
  }
}

void Rollouts::advance(const ManifestId& rollout, Fleet& fleet, Now now, Effects& effects) {
  const auto found = rollouts_.find(rollout);
  if (found == rollouts_.end()) return;
  auto context = context_of(fleet, now, effects);
  found->second.advance(context);
  settle(context);
}

void Rollouts::give_turns(const ManifestId& rollout, Fleet& fleet, Now now, Effects& effects) {
  auto context = context_of(fleet, now, effects);
  rollouts_.at(rollout).give_turns(context);
  settle(context);
}

void Rollouts::tick(Fleet& fleet, Now now, Effects& effects) {
  extend_leases(effects);
  for (const auto& id : std::set(catalog_.current())) {  // one that ends changes it
    auto& rollout = rollouts_.at(id);
    auto context = context_of(fleet, now, effects);
    rollout.send_due_gates(context);
    if (rollout.record().state == RolloutState::active) advance(id, fleet, now, effects);
  }
}

void Rollouts::hold(std::string why, Effects& effects) {
  if (why == held_) return;
  held_ = std::move(why);
  for (const auto& rollout : catalog_.current()) effects.emplace_back(ShowStatus{rollout});
}

void Rollouts::renew_gates() {
  for (const auto& rollout : catalog_.current()) rollouts_.at(rollout).renew_gates();
}

void Rollouts::mend_times(Fleet& fleet, Now now, Effects& effects) {
  for (auto& [id, rollout] : rollouts_) {
    auto context = context_of(fleet, now, effects);
    rollout.mend_times(context);
    settle(context);
  }
}

std::vector<ManifestId> Rollouts::find_superseded(std::string_view product, Effects& effects) {
  std::vector<Contender> contenders;
  for (const auto& id : catalog_.of_product(product)) {
    const auto& rollout = rollouts_.at(id);
    // One that expired may have been passed over for an older one, which is not taken over by it then.
    contenders.push_back({id, &rollout.record(), rollout.is_offered() && catalog_.is_current(id)});
  }
  const auto found = superseded(contenders);
  std::vector<ManifestId> news;
  for (const auto& one : contenders) {
    const auto by = found.find(one.id);
    auto& rollout = rollouts_.at(one.id);
    const bool is_first = !rollout.superseded_by().has_value();
    if (!rollout.set_superseded_by(by == found.end() ? std::nullopt : std::optional(by->second))) continue;
    effects.emplace_back(ShowStatus{one.id});
    if (is_first) news.push_back(one.id);
  }
  return news;
}

Context Rollouts::context_of(Fleet& fleet, Now now, Effects& effects) const {
  return {.fleet = fleet,
          .catalog = catalog_,
          .now = now,
          .effects = effects,
          .others = {},
          .held = held_,
          .ended = std::nullopt};
}

std::string Rollouts::waiting_for(const ManifestId& rollout, Now now) const {
  const auto* found = find(rollout);
  return found == nullptr ? "" : found->waiting_for(now, held_);
}

Result<Rollouts::Taken> Rollouts::take_manifest(const ManifestId& rollout, const wire::Manifest& manifest,
                                                const std::vector<trust::KeyId>& signers, const std::string& who,
                                                Fleet& fleet, Now now, Effects& effects) {
  if (is_current_everywhere(rollout, manifest)) return Taken::known;
  const auto since = keys_.has_value() ? keys_->since : 0;
  INSTAR_CHECK(sequences_.check(manifest, [&] { return fleet.claims(manifest.product, since); }));
  INSTAR_CHECK(wire::check_waves(manifest.policy));
  make_room(fleet, effects);
  if (rollouts_.size() >= limits::kRolloutsMax) {
    return fail(Code::too_large, "the broker keeps at most " + std::to_string(limits::kRolloutsMax) +
                                     " rollouts, and all are the current one of some product and group");
  }
  auto context = context_of(fleet, now, effects);
  begin(rollout, manifest, signers, who, context);
  settle(context);
  for (const auto& older : find_superseded(manifest.product, effects))
    rollouts_.at(older).note_superseded(manifest.release, context);
  archive_old(manifest.product, fleet, effects);
  return Taken::created;
}

bool Rollouts::is_current_everywhere(const ManifestId& rollout, const wire::Manifest& manifest) const {
  return rollouts_.contains(rollout) && std::ranges::all_of(manifest.groups, [&](const GroupPath& group) {
           return catalog_.is_current_for({group, manifest.product}, rollout);
         });
}

void Rollouts::begin(const ManifestId& id, const wire::Manifest& manifest, const std::vector<trust::KeyId>& signers,
                     const std::string& who, Context& context) {
  RolloutRecord record;
  record.product = manifest.product;
  record.release = manifest.release;
  record.sequence = manifest.sequence;
  record.groups = manifest.groups;
  record.order = catalog_.order_last() + 1;
  record.started = record.updated = context.now.wall;
  load(id, std::move(record), release_of(manifest, signers));
  auto& rollout = rollouts_.at(id);
  take_counts(context.fleet.offer(id, rollout.terms(), context.effects), context.effects);
  if (manifest.policy.rollout_bytes_max != 0) {
    leases_due_.insert(id);
    extend_leases(context.effects);
  }
  rollout.begin(who, context);
  context.effects.emplace_back(Note{LogLevel::notice, "rollout " + id.short_hex() + " of " + manifest.product + " " +
                                                          manifest.release + " (sequence " +
                                                          std::to_string(manifest.sequence) + ") begins"});
  rollout.advance(context);
}

void Rollouts::make_room(Fleet& fleet, Effects& effects) {
  if (rollouts_.size() < limits::kRolloutsMax) return;
  const auto oldest = catalog_.oldest_replaced();
  if (!oldest.has_value()) return;
  const auto& record = rollouts_.at(*oldest).record();
  fleet.withdraw(*oldest, effects);
  effects.emplace_back(RemoveRollout{*oldest, record.events});
  catalog_.remove(*oldest, record);
  sequences_.remove(*oldest);
  leases_due_.erase(*oldest);
  rollouts_.erase(*oldest);
}

void Rollouts::archive_old(std::string_view product, Fleet& fleet, Effects& effects) {
  std::size_t newer = 0;
  for (const auto& id : catalog_.of_product(product)) {
    if (++newer <= limits::kRolloutsWithMembersMax || catalog_.is_current(id)) continue;
    auto& rollout = rollouts_.at(id);
    if (rollout.record().archived.has_value()) continue;
    rollout.archive(fleet, effects);
  }
}

Result<Rollout*> Rollouts::find_for_operator(const ManifestId& rollout) {
  const auto found = rollouts_.find(rollout);
  if (found == rollouts_.end()) return fail(Code::not_found, "no rollout " + rollout.short_hex() + " is known here");
  return &found->second;
}

Status Rollouts::act(const ManifestId& rollout, Action action, const std::string& who, Fleet& fleet, Now now,
                     Effects& effects) {
  INSTAR_TRY(auto* const found, find_for_operator(rollout));
  auto context = context_of(fleet, now, effects);
  const auto status = found->act(action, who, context);
  settle(context);
  return status;
}

Status Rollouts::approve(const ManifestId& rollout, const Yes& yes, const std::string& who, Fleet& fleet, Now now,
                         Effects& effects) {
  INSTAR_TRY(auto* const found, find_for_operator(rollout));
  auto context = context_of(fleet, now, effects);
  const auto status = found->approve(yes, who, context);
  settle(context);
  return status;
}

Status Rollouts::retry(const ManifestId& rollout, const std::string& who, Fleet& fleet, Now now, Effects& effects) {
  INSTAR_TRY(auto* const found, find_for_operator(rollout));
  auto context = context_of(fleet, now, effects);
  const auto status = found->retry(who, context);
  settle(context);
  return status;
}

void Rollouts::refresh_gates(Fleet& fleet, Now now, Effects& effects) {
  auto context = context_of(fleet, now, effects);
  for (const auto& rollout : catalog_.current()) rollouts_.at(rollout).send_gates(context);
}

Charge Rollouts::charge(const ManifestId& rollout, std::uint64_t sent, std::uint64_t bytes) {
  auto& found = rollouts_.at(rollout);
  if (found.needs_lease(sent, bytes)) leases_due_.insert(rollout);
  return found.charge(sent, bytes);
}

void Rollouts::lease_saved(const ManifestId& rollout, std::uint64_t bytes) {
  if (const auto found = rollouts_.find(rollout); found != rollouts_.end()) found->second.lease_saved(bytes);
}

void Rollouts::extend_leases(Effects& effects) {
  for (const auto& rollout : std::exchange(leases_due_, {})) {
    if (const auto found = rollouts_.find(rollout); found != rollouts_.end()) found->second.extend_lease(effects);
  }
}

const Rollout* Rollouts::find(const ManifestId& rollout) const noexcept {
  const auto found = rollouts_.find(rollout);
  return found == rollouts_.end() ? nullptr : &found->second;
}

void Rollouts::assert_invariants() const {
  catalog_.assert_invariants();
  INSTAR_ASSERT(sequences_.size() == rollouts_.size());
  INSTAR_ASSERT(catalog_.size() == rollouts_.size());
  for (const auto& [id, rollout] : rollouts_) rollout.assert_invariants();
  for (const auto& id : leases_due_) INSTAR_ASSERT(rollouts_.contains(id));
}

}  // namespace instar::rollout
