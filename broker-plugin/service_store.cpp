// Persist, then act; and what happens when the store fails.
#include <algorithm>

#include "broker-plugin/service_impl.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "core/wire/placement.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

constexpr std::int64_t kRecoveryEveryMs = 5'000;

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

// The write of an effect; false if it is none.
bool add_write(storage::Batch& batch, const rollout::Effect& effect) {
  using storage::Column;
  return std::visit(
      Overloaded{[&](const rollout::SaveDevice& e) {
                   batch.push_back({Column::devices, storage::device_key(e.device), e.record});
                   return true;
                 },
                 [&](const rollout::RemoveDevice& e) {
                   batch.push_back({Column::devices, storage::device_key(e.device), std::nullopt});
                   const auto kept = std::min<std::uint64_t>(e.last_report, limits::kHistoryReportsMax);
                   for (std::uint64_t i = 0; i < kept; ++i) {
                     batch.push_back({Column::history, storage::report_key(e.device, e.last_report - i), std::nullopt});
                   }
                   return true;
                 },
                 [&](const rollout::SaveMember& e) {
                   batch.push_back({Column::members, storage::member_key(e.rollout, e.device), e.record});
                   return true;
                 },
                 [&](const rollout::RemoveMember& e) {
                   batch.push_back({Column::members, storage::member_key(e.rollout, e.device), std::nullopt});
                   return true;
                 },
                 [&](const rollout::SaveRollout& e) {
                   batch.push_back({Column::rollouts, storage::rollout_key(e.rollout), e.record});
                   return true;
                 },
                 [&](const rollout::RemoveRollout& e) {
                   batch.push_back({Column::rollouts, storage::rollout_key(e.rollout), std::nullopt});
                   batch.push_back({Column::rollouts, storage::manifest_key(e.rollout), std::nullopt});
                   const auto kept = std::min<std::uint64_t>(e.events, limits::kHistoryEventsMax);
                   for (std::uint64_t i = 1; i <= kept; ++i) {
                     batch.push_back({Column::history, storage::event_key(e.rollout, e.events - i), std::nullopt});
                   }
                   return true;
                 },
                 [&](const rollout::SaveReport& e) {
                   batch.push_back({Column::history, storage::report_key(e.device, e.sequence), e.record});
                   return true;
                 },
                 [&](const rollout::SaveEvent& e) {
                   batch.push_back({Column::history, storage::event_key(e.rollout, e.number), e.record});
                   if (e.number >= limits::kHistoryEventsMax) {
                     const auto oldest = e.number - limits::kHistoryEventsMax;
                     batch.push_back({Column::history, storage::event_key(e.rollout, oldest), std::nullopt});
                   }
                   return true;
                 },
                 [](const auto&) { return false; }},
      effect);
}

// This store took the manifest when its signatures had been checked.
Result<wire::Policy> policy_in(ByteView envelope) {
  INSTAR_TRY(const auto parsed, trust::parse_envelope(envelope));
  INSTAR_TRY(auto manifest, wire::decode_manifest(parsed.payload));
  return std::move(manifest.policy);
}

}  // namespace

void ServiceImpl::when_durable(storage::Batch batch, std::function<void()> act) {
  if (store_is_down_) return;
  if (batch.empty() && store_.pending_commits() == 0) {
    if (act) act();
    return;
  }
  store_.commit(std::move(batch), [act = std::move(act), self = std::weak_ptr(self_)](Status status) {
    const auto service = self.lock();
    if (service == nullptr) return;
    if (!status.has_value()) return (*service)->store_failed(status.error());
    if (act) act();
  });
}

void ServiceImpl::carry_out(rollout::Effects effects, storage::Batch batch, std::function<void()> act) {
  rollout::Effects rest;
  std::set<Hash256> shown;
  for (auto& effect : effects) {
    if (const auto* show = std::get_if<rollout::ShowStatus>(&effect);
        show != nullptr && !shown.insert(show->rollout).second)
      continue;
    if (!add_write(batch, effect) || std::holds_alternative<rollout::RemoveRollout>(effect))
      rest.push_back(std::move(effect));
  }
  when_durable(std::move(batch), [this, rest = std::move(rest), act = std::move(act)] {
    for (const auto& effect : rest) {
      std::visit(
          Overloaded{[&](const rollout::SendAck& e) { queue_ack(e.device, e.ack); },
                     [&](const rollout::SendGate& e) { send_gate(e.gate); },
                     [&](const rollout::ShowStatus& e) { show_status(e.rollout); },
                     [&](const rollout::LeaseSaved& e) { tracker_.lease_saved(e.rollout, e.bytes); },
                     // An empty retained message takes the one before away.
                     [&](const rollout::RemoveRollout& e) {
                       broker_.publish(options_.topics.status(e.rollout.short_hex()), {}, wire::Qos::at_least_once,
                                       wire::Retain::yes);
                     },
                     [&](const rollout::Note& e) { log(static_cast<LogLevel>(e.level), e.text); }, [](const auto&) {}},
          effect);
    }
    if (act) act();
  });
}

void ServiceImpl::store_failed(const Error& error) {
  if (store_is_down_) return;
  store_is_down_ = true;
  recovery_tried_ = {now_.monotonic.value - kRecoveryEveryMs};
  log(LogLevel::error, "the store refused a write (" + error.message + "); nothing is taken in until it works again");
}

void ServiceImpl::try_recovery() {
  if (store_.pending_commits() > 0 || now_.monotonic - recovery_tried_ < kRecoveryEveryMs) return;
  recovery_tried_ = now_.monotonic;
  auto status = store_.reopen();
  if (status.has_value()) status = load();
  if (!status.has_value()) {
    log(LogLevel::error, "the store does not work yet: " + status.error().message);
    return;
  }
  store_is_down_ = false;
  upload_.reset();
  publish_retained();
  log(LogLevel::notice, "the store works again; state was loaded from it");
}

Status ServiceImpl::load() {
  INSTAR_CHECK(load_root());
  INSTAR_CHECK(load_tracker());
  complete_packs_.clear();
  return store_.scan(storage::Column::packs, storage::kCompletePrefix, [&](ByteView key, ByteView) {
    if (const auto pack = storage::parse_complete_key(key)) complete_packs_.insert(*pack);
    return true;
  });
}

// The newest of the chain in the store, or the pinned one where that is newer or the store has none.
Status ServiceImpl::load_root() {
  trust_.reset();
  Bytes newest;
  std::uint32_t newest_version = 0;
  std::optional<trust::TrustStore> pinned;
  if (!options_.pinned_root.empty()) {
    auto store = trust::TrustStore::from_pinned(options_.pinned_root);
    if (!store.has_value()) return fail(with_context(std::move(store.error()), "the pinned root document"));
    pinned = std::move(*store);
  }
  bool other_chain = false;
  INSTAR_CHECK(store_.scan(storage::Column::meta, storage::kRootPrefix, [&](ByteView key, ByteView value) {
    const auto version = storage::parse_root_key(key);
    if (!version.has_value()) return true;
    newest = to_bytes(value);
    newest_version = *version;
    if (pinned.has_value() && *version == pinned->root().version && as_text(value) != as_text(pinned->envelope()))
      other_chain = true;
    return true;
  }));
  if (other_chain) {
    return fail(Code::refused,
                "the pinned root document is not the one that this store was made with: correct the option, or start "
                "with an empty store");
  }
  if (pinned.has_value() && pinned->root().version > newest_version) {
    const auto version = pinned->root().version;
    trust_ = std::move(pinned);
    storage::Batch batch{{storage::Column::meta, storage::root_key(version), options_.pinned_root}};
    store_.commit(std::move(batch), [self = std::weak_ptr(self_)](Status status) {
      const auto service = self.lock();
      if (service != nullptr && !status.has_value()) (*service)->store_failed(status.error());
    });
    return {};
  }
  if (newest_version == 0) return {};
  auto stored = trust::TrustStore::from_pinned(newest);
  if (!stored.has_value()) return fail(with_context(std::move(stored.error()), "the root document in the store"));
  trust_ = std::move(*stored);
  return {};
}

Status ServiceImpl::load_tracker() {
  tracker_ = {};
  // A record that cannot be read is passed over: its device says hello again, its rollout can be published again.
  const auto damaged = [&](const char* column, ByteView key, const Error& error) {
    log(LogLevel::error,
        "a record of column " + std::string(column) + " (" + to_hex(key) + ") is passed over: " + error.message);
  };
  std::map<Hash256, std::shared_ptr<const wire::Policy>> policies;
  INSTAR_CHECK(store_.scan(storage::Column::rollouts, storage::kManifestPrefix, [&](ByteView key, ByteView value) {
    const auto hash = storage::parse_manifest_key(key);
    auto policy = policy_in(value);
    if (hash.has_value() && policy.has_value()) {
      policies[*hash] = std::make_shared<const wire::Policy>(std::move(*policy));
    } else if (!policy.has_value()) {
      damaged("rollouts", key, policy.error());
    }
    return true;
  }));
  INSTAR_CHECK(store_.scan(storage::Column::rollouts, storage::kRolloutPrefix, [&](ByteView key, ByteView value) {
    const auto hash = storage::parse_rollout_key(key);
    auto record = rollout::decode_rollout_record(value);
    const auto policy = hash.has_value() ? policies.find(*hash) : policies.end();
    if (!record.has_value()) {
      damaged("rollouts", key, record.error());
    } else if (policy == policies.end() || record->wave >= wire::wave_count(*policy->second)) {
      damaged("rollouts", key, {Code::corrupt, "its manifest is missing, or not the one that it was made from"});
    } else {
      tracker_.load_rollout(*hash, std::move(*record), policy->second);
    }
    return true;
  }));
  INSTAR_CHECK(store_.scan(storage::Column::devices, "", [&](ByteView key, ByteView value) {
    const auto device = storage::parse_device_key(key);
    auto record = rollout::decode_device_record(value);
    if (device.has_value() && record.has_value()) {
      tracker_.load_device(*device, std::move(*record));
    } else if (!record.has_value()) {
      damaged("devices", key, record.error());
    }
    return true;
  }));
  INSTAR_CHECK(store_.scan(storage::Column::members, "", [&](ByteView key, ByteView value) {
    const auto member = storage::parse_member_key(key);
    auto record = rollout::decode_member_record(value);
    if (member.has_value() && record.has_value()) {
      tracker_.load_member(member->first, member->second, std::move(*record));
    } else if (!record.has_value()) {
      damaged("members", key, record.error());
    }
    return true;
  }));
  tracker_.loaded(now_);
  for (const auto& device : connected_) tracker_.is_there(device);
  return {};
}

// The broker may have lost its retained messages, and has at least not heard of what happened since its last save.
void ServiceImpl::publish_retained() {
  if (trust_.has_value()) {
    when_durable({}, [this] {
      if (trust_.has_value())
        broker_.publish(options_.topics.root(), trust_->envelope(), wire::Qos::at_least_once, wire::Retain::yes);
    });
  }
  std::vector<std::pair<std::string, Bytes>> retained;
  const auto scanned =
      store_.scan(storage::Column::rollouts, storage::kManifestPrefix, [&](ByteView key, ByteView value) {
        const auto hash = storage::parse_manifest_key(key);
        for (const auto& [group, current] : tracker_.group_rollouts()) {
          if (hash == current) retained.emplace_back(options_.topics.manifest(group), to_bytes(value));
        }
        return true;
      });
  if (!scanned.has_value())
    log(LogLevel::error, "manifests could not be read from the store: " + scanned.error().message);
  const auto assigned =
      store_.scan(storage::Column::meta, storage::kAssignmentPrefix, [&](ByteView key, ByteView value) {
        const auto device = storage::parse_assignment_key(key);
        if (device.has_value())
          retained.emplace_back(options_.topics.device(*device, wire::TopicKind::device_assignment), to_bytes(value));
        return true;
      });
  if (!assigned.has_value())
    log(LogLevel::error, "assignments could not be read from the store: " + assigned.error().message);
  rollout::Effects effects;
  tracker_.refresh_gates(now_, effects);
  for (const auto& [hash, rollout] : tracker_.rollouts()) {
    status_published_.erase(hash);
    effects.emplace_back(rollout::ShowStatus{hash});
  }
  when_durable({}, [this, retained = std::move(retained)] {
    for (const auto& [topic, envelope] : retained)
      broker_.publish(topic, envelope, wire::Qos::at_least_once, wire::Retain::yes);
  });
  carry_out(std::move(effects));
}

}  // namespace instar::broker
