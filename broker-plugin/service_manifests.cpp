// What operators publish: root documents and manifests; and the gates and statuses that follow from them.
#include "broker-plugin/service_impl.hpp"
#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {

// Durable first, then retained by the broker itself: devices never hold a document that this store has lost.
Verdict ServiceImpl::take_root(ByteView payload) {
  const auto topic = options_.topics.root();
  if (store_is_down_) return refuse(topic, {Code::unavailable, "the store is down: publish again later"});
  if (!trust_.has_value()) {
    return refuse(topic, {Code::untrusted_key,
                          "no root document is pinned here to check it against: set the option that names one"});
  }
  const auto before = trust_->root().version;
  if (auto status = trust_->advance(payload); !status.has_value()) return refuse(topic, status.error());
  const auto version = trust_->root().version;
  storage::Batch batch;
  if (version != before) batch.push_back({storage::Column::meta, storage::root_key(version), trust_->envelope()});
  when_durable(std::move(batch), [this, topic, version, before, envelope = trust_->envelope()] {
    broker_.publish(topic, envelope, wire::Qos::at_least_once, wire::Retain::yes);
    if (version != before) log(LogLevel::notice, "root document version " + std::to_string(version) + " is in force");
  });
  check_gate_key();
  return Verdict::consume;
}

Verdict ServiceImpl::take_manifest(const Sender& sender, const GroupPath& group, std::string_view topic,
                                   ByteView payload, bool retain) {
  Hash256 hash;
  auto status = [&]() -> Status {
    if (store_is_down_ || store_.pending_commits() >= limits::kStoreQueueMax) {
      return fail(Code::unavailable, "the store is behind or down: publish again later");
    }
    INSTAR_TRY(const auto manifest, open_manifest(group, payload, hash));
    rollout::Effects effects;
    INSTAR_TRY(const auto taken, tracker_.take_manifest(hash, manifest, name_of(sender), now_, effects));
    storage::Batch batch;
    if (taken == rollout::Tracker::Taken::created) {
      batch.push_back({storage::Column::rollouts, storage::manifest_key(hash), to_bytes(payload)});
    } else {
      effects.emplace_back(rollout::ShowStatus{hash});
    }
    std::function<void()> retain_it;
    if (!retain) {
      // Devices that connect later must hear it too.
      retain_it = [this, to = std::string(topic), envelope = to_bytes(payload)] {
        broker_.publish(to, envelope, wire::Qos::at_least_once, wire::Retain::yes);
      };
    }
    carry_out(std::move(effects), std::move(batch), std::move(retain_it));
    return {};
  }();
  if (status.has_value()) return retain ? Verdict::route : Verdict::consume;
  if (!hash.is_zero()) {
    const auto text = dump(refused_json(hash, status.error(), now_.wall));
    broker_.publish(options_.topics.status(hash.short_hex()), as_bytes(text), wire::Qos::at_least_once,
                    wire::Retain::no);
  }
  return refuse(topic, status.error());
}

// An empty one takes the word back: the device goes by its own configuration when it hears that nothing is retained any
// more.
Verdict ServiceImpl::take_assignment(const DeviceId& device, std::string_view topic, ByteView payload, bool retain) {
  if (store_is_down_ || store_.pending_commits() >= limits::kStoreQueueMax) {
    return refuse(topic, {Code::unavailable, "the store is behind or down: publish again later"});
  }
  if (auto status = check_assignment(device, payload); !status.has_value()) return refuse(topic, status.error());
  storage::Batch batch;
  batch.push_back({storage::Column::meta, storage::assignment_key(device), to_bytes(payload)});
  when_durable(std::move(batch), [this, to = std::string(topic), envelope = to_bytes(payload), retain] {
    if (!retain) broker_.publish(to, envelope, wire::Qos::at_least_once, wire::Retain::yes);
  });
  return retain ? Verdict::route : Verdict::consume;
}

Status ServiceImpl::check_assignment(const DeviceId& device, ByteView payload) const {
  if (!trust_.has_value()) return fail(Code::untrusted_key, "no root document is known here");
  INSTAR_TRY(const auto envelope, trust_->open_assignment(payload));
  INSTAR_TRY(const auto assignment, wire::decode_assignment(envelope.payload));
  if (assignment.device != device) return fail(Code::refused, "the assignment is of device " + assignment.device.str());
  for (const auto& group : assignment.groups) {
    auto allowed = trust_->allows_assignment(envelope, group);
    if (!allowed.has_value()) return fail(with_context(std::move(allowed.error()), "group " + group.str()));
  }
  return {};
}

// `hash` is set as soon as it is known, also when the manifest is refused.
Result<wire::Manifest> ServiceImpl::open_manifest(const GroupPath& group, ByteView payload, Hash256& hash) const {
  INSTAR_TRY(const auto envelope, trust::parse_envelope(payload));
  hash = envelope.payload_hash;
  if (!trust_.has_value()) return fail(Code::untrusted_key, "no root document is known here");
  const auto& root = trust_->root();
  if (root.expires.value != 0 && root.expires <= now_.wall) {
    return fail(Code::expired, "the root document (version " + std::to_string(root.version) +
                                   ") has expired: publish its successor first");
  }
  INSTAR_CHECK(trust_->open_manifest(payload, group));
  INSTAR_TRY(auto manifest, wire::decode_manifest(envelope.payload));
  bool named = false;
  for (const auto& own : manifest.groups) {
    named = named || own == group;
    // Its gate will stand on each of its groups: its keys must reach them all.
    auto allowed = trust_->open_manifest(payload, own);
    if (!allowed.has_value()) return fail(with_context(std::move(allowed.error()), "group " + own.str()));
  }
  if (!named)
    return fail(Code::refused, "the manifest does not name the group " + group.str() + " that it was published to");
  if (manifest.expires.value != 0 && manifest.expires <= now_.wall) {
    return fail(Code::expired, "the manifest has expired: sign it anew with a later expiry");
  }
  INSTAR_CHECK(check_packs(manifest));
  return manifest;
}

Status ServiceImpl::check_packs(const wire::Manifest& manifest) const {
  for (const auto& artifact : manifest.artifacts) {
    for (const auto& pack : artifact.packs) {
      if (complete_packs_.contains(pack.id)) continue;
      return fail(Code::not_found, std::string(artifact::pack_kind_name(pack.kind)) + " pack " + pack.id.short_hex() +
                                       " of artifact " + artifact.id.short_hex() +
                                       " is not complete in the broker: upload it first, then publish again");
    }
  }
  return {};
}

void ServiceImpl::send_gate(const wire::Gate& gate) {
  broker_.publish(options_.topics.gate(gate.group),
                  trust::seal(trust::Kind::gate, wire::encode(gate), options_.gate_key), wire::Qos::at_least_once,
                  wire::Retain::yes);
}

// Said at start and at each new root document, not at each gate: nothing would move until it is put right.
void ServiceImpl::check_gate_key() {
  if (!trust_.has_value()) {
    log(LogLevel::warning, "no root document is known: manifests are refused until one is pinned");
    return;
  }
  wire::Gate probe;
  if (auto group = GroupPath::parse("probe"); group.has_value()) probe.group = *group;
  probe.product = "probe";
  const auto sealed = trust::seal(trust::Kind::gate, wire::encode(probe), options_.gate_key);
  if (const auto opened = trust_->open_gate(sealed); !opened.has_value()) {
    log(LogLevel::error,
        "devices will not obey this broker's gates: its gate key is not enough for the role `gate` of root document "
        "version " +
            std::to_string(trust_->root().version) + " (" + opened.error().message + ")");
  }
}

void ServiceImpl::show_status(const Hash256& rollout) {
  const auto last = status_published_.find(rollout);
  if (last != status_published_.end() && now_.monotonic - last->second < limits::kStatusIntervalMs) {
    status_due_.insert(rollout);
    return;
  }
  publish_status(rollout);
}

void ServiceImpl::publish_status(const Hash256& hash) {
  status_due_.erase(hash);
  if (!tracker_.rollout(hash).has_value()) {
    status_published_.erase(hash);
    return;
  }
  status_published_[hash] = now_.monotonic;
  // As it is now, told when all of it is durable.
  when_durable({}, [this, topic = options_.topics.status(hash.short_hex()), text = dump(rollout_json(hash))] {
    broker_.publish(topic, as_bytes(text), wire::Qos::at_least_once, wire::Retain::yes);
  });
}

void ServiceImpl::publish_due_statuses() {
  const auto due = status_due_;
  for (const auto& rollout : due) {
    const auto last = status_published_.find(rollout);
    if (last == status_published_.end() || now_.monotonic - last->second >= limits::kStatusIntervalMs)
      publish_status(rollout);
  }
}

}  // namespace instar::broker
