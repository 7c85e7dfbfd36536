// The store: persist, then act; loading; what happens when it has failed.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "broker-plugin/rollout_store.hpp"
#include "broker-plugin/service_impl.hpp"
#include "broker-plugin/status_json.hpp"
#include "core/wire/approval.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {

void ServiceImpl::carry_out(rollout::Effects effects, Around around) {
  rollout::Effects rest;
  std::set<ManifestId> shown;
  for (auto& effect : effects) {
    const auto* show = std::get_if<rollout::ShowStatus>(&effect);
    if (show != nullptr && !shown.insert(show->rollout).second) continue;
    if (!add_write(around.batch, effect) || std::holds_alternative<rollout::RemoveRollout>(effect))
      rest.push_back(std::move(effect));
  }
  auto batch = std::move(around.batch);
  auto lost = std::move(around.lost);
  const auto act = [this, rest = std::move(rest), around = std::move(around)] {
    if (around.before) around.before();
    for (const auto& effect : rest) act_on(effect);
    if (around.after) around.after();
  };
  commits_.when_durable(std::move(batch), act, std::move(lost));
}

void ServiceImpl::act_on(const rollout::Effect& effect) {
  if (const auto* ack = std::get_if<rollout::SendAck>(&effect)) {
    auto whole = ack->ack;
    for (const auto& gate : ack->endings) whole.endings.push_back(outbox_.sealed(gate));
    acks_.add(ack->device, whole);
  } else if (const auto* gate = std::get_if<rollout::SendGate>(&effect)) {
    outbox_.gate(gate->gate);
  } else if (const auto* offer = std::get_if<rollout::OfferManifest>(&effect)) {
    offer_manifest(offer->audience, offer->rollout);
  } else if (const auto* clear = std::get_if<rollout::ClearManifest>(&effect)) {
    outbox_.manifest(clear->audience, {});
  } else if (const auto* show = std::get_if<rollout::ShowStatus>(&effect)) {
    if (statuses_.changed(show->rollout, now_.monotonic)) publish_status(show->rollout);
  } else if (const auto* lease = std::get_if<rollout::LeaseSaved>(&effect)) {
    tracker_.lease_saved(lease->rollout, lease->bytes);
  } else if (const auto* removed = std::get_if<rollout::RemoveRollout>(&effect)) {
    outbox_.remove_status(removed->rollout);
  } else if (const auto* note = std::get_if<rollout::Note>(&effect)) {
    if (note->about.has_value()) {
      complaints_.note(*note->about, note->level, note->text, now_.monotonic);
    } else {
      log_.write(note->level, note->text);
    }
  }
}

// While a newer one had its place its packs were needed by nobody.
bool ServiceImpl::lacks_packs(const ManifestId& rollout) const {
  const auto found = tracker_.rollout(rollout);
  return found.has_value() && rollout::goes_on(found->record.state) &&
         !std::ranges::all_of(found->release->packs, [this](const PackId& pack) { return upload_.is_complete(pack); });
}

void ServiceImpl::offer_manifest(const rollout::Audience& audience, const ManifestId& rollout) {
  if (lacks_packs(rollout)) {
    return log_.write(LogLevel::warning, "rollout " + rollout.short_hex() + " should be offered to group " +
                                             audience.group.str() +
                                             " again, and packs of it were removed: publish its release again");
  }
  store_.read(storage::Column::rollouts, storage::manifest_key(rollout),
              [this, self = std::weak_ptr(self_), audience, rollout](const Result<std::optional<Bytes>>& stored) {
                if (self.expired()) return;
                const auto current = tracker_.current_rollouts().find(audience);
                if (current == tracker_.current_rollouts().end() || current->second != rollout) return;
                if (stored.has_value() && stored->has_value()) return outbox_.manifest(audience, **stored);
                log_.write(LogLevel::error, "the manifest of rollout " + rollout.short_hex() + ", which group " +
                                                audience.group.str() + " should get again, cannot be read: " +
                                                (stored.has_value() ? "it is missing" : stored.error().message) +
                                                "; publish the release again");
              });
}

Status ServiceImpl::load() {
  assigning_.clear();  // what was not durable is lost
  INSTAR_TRY(auto batch, roots_.load(store_, options_.pinned_root));
  if (!batch.empty()) commits_.write(std::move(batch));
  INSTAR_TRY(tracker_, load_tracker(store_, roots_, options_.listed, now_, log_));
  tracker_.bound_newcomers(options_.unknown_devices_max_per_login);
  rollout::Effects nothing_to_show;
  tracker_.hold(clock_.doubt(), nothing_to_show);
  for (const auto& device : connected_) tracker_.is_there(device);
  return upload_.load(now_.wall);
}

void ServiceImpl::try_recovery() {
  if (!commits_.may_retry(now_.monotonic)) return;
  auto status = commits_.reopen(now_.monotonic);
  if (status.has_value()) status = load();
  if (!status.has_value()) {
    log_.write(LogLevel::error, "the store does not work yet: " + status.error().message);
    upload_.reset(commits_.why_down());
    return;
  }
  commits_.works_again();
  upload_.reset(commits_.why_down());
  publish_retained();
  log_.write(LogLevel::notice, "the store works again; state was loaded from it");
}

// The broker may have lost its retained messages, and has at least missed what happened since its last save.
void ServiceImpl::publish_retained() {
  if (roots_.trust() != nullptr) {
    commits_.when_durable({}, [this] {
      if (roots_.trust() != nullptr) outbox_.root(roots_.trust()->envelope());
      for (const auto& [version, envelope] : roots_.chain()) outbox_.root_version(version, envelope);
    });
  }
  auto manifests = read_manifests(store_, tracker_, log_);
  std::erase_if(manifests, [this](const StoredManifest& one) {
    return lacks_packs(tracker_.current_rollouts().at(one.audience));
  });
  auto assignments = read_assignments(store_, log_);
  rollout::Effects effects;
  tracker_.withdraw_unsigned(now_, effects);
  tracker_.refresh_gates(now_, effects);
  for (const auto& [id, rollout] : tracker_.rollouts()) {
    statuses_.forget_last(id);
    effects.emplace_back(rollout::ShowStatus{id});
  }
  commits_.when_durable({}, [this, manifests = std::move(manifests), assignments = std::move(assignments)] {
    for (const auto& [audience, envelope] : manifests) outbox_.manifest(audience, envelope);
    for (const auto& [device, envelope] : assignments) outbox_.assignment(device, envelope);
  });
  carry_out(std::move(effects));
}

void ServiceImpl::publish_status(const ManifestId& rollout) {
  if (!tracker_.rollout(rollout).has_value()) return statuses_.forget(rollout);
  statuses_.published(rollout, now_.monotonic);
  // As it is now, published when all of it is durable.
  commits_.when_durable(
      {}, [this, rollout, text = dump(rollout_json(tracker_, rollout, now_))] { outbox_.status(rollout, text); });
}

// At the start and with each new root document, not with each gate: nothing moves until it is put right.
void ServiceImpl::check_gate_key() {
  const auto* trust = roots_.trust();
  if (trust == nullptr) {
    log_.write(LogLevel::warning, "no root document is known: manifests are refused until one is pinned");
    return;
  }
  if (const auto opened = trust->open_gate(outbox_.sample_gate()); !opened.has_value()) {
    log_.write(LogLevel::error,
               "devices will not obey this broker's gates: its gate key is not enough for the role `gate` of root "
               "document version " +
                   std::to_string(trust->root().version) + " (" + opened.error().message + ")");
  }
}

void ServiceImpl::warn_of_expiry() {
  const auto* trust = roots_.trust();
  if (trust == nullptr) return;
  if (const auto warning = trust::expiry_warning(trust->root(), now_.wall); warning.has_value())
    log_.write(LogLevel::warning, *warning);
}

// The keys that have approved may be gone with a new root document: devices then wait for an approval that counts.
void ServiceImpl::check_approvals() {
  const auto* trust = roots_.trust();
  if (trust == nullptr) return;
  std::set<ManifestId> seen;
  for (const auto& [audience, id] : tracker_.current_rollouts()) {
    if (!seen.insert(id).second) continue;
    const auto& record = tracker_.rollout(id)->record;
    const bool goes_on = record.state == rollout::RolloutState::active || record.state == rollout::RolloutState::paused;
    if (record.approval.empty() || !goes_on) continue;
    const auto opened = wire::open_approval(*trust, record.approval, id, record.product, record.groups);
    if (opened.has_value()) continue;
    log_.write(LogLevel::warning, "devices will not obey the gates of rollout " + id.short_hex() +
                                      ": its signed approval does not count any more (" + opened.error().message +
                                      "); approve it again: instar rollout approve " + id.short_hex() + " --wave " +
                                      std::to_string(record.approved) + " --key FILE");
  }
}

}  // namespace instar::broker
