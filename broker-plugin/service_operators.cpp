// What operators publish: root documents, manifests, assignments, packs.
#include <string>
#include <utility>
#include <vector>

#include "broker-plugin/publications.hpp"
#include "broker-plugin/service_impl.hpp"
#include "broker-plugin/status_json.hpp"
#include "core/trust/envelope.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {

// Durable, then seen: a document, a manifest or an assignment is never routed as it comes. Once it is in the store the
// broker publishes it itself, retained: what the store loses, nobody has seen. What comes over a bridge and is in force
// already is not published again: between two brokers it would go round for ever.
Verdict ServiceImpl::take_root(const Sender& sender, std::string_view topic, ByteView payload) {
  if (commits_.is_down()) return refuse(sender, topic, {Code::unavailable, "the store is down: publish again later"});
  auto taken = roots_.take(payload);
  if (!taken.has_value()) return refuse(sender, topic, taken.error());
  if (!taken->is_new && !sender.identity_known) return Verdict::consume;
  rollout::Effects effects;
  if (taken->is_new) tracker_.take_keys(roots_.keys(), effects);
  Around around;
  around.batch = std::move(taken->batch);
  around.before = [this, taken = std::move(*taken)] {
    outbox_.root(taken.envelope);
    if (taken.is_new) {
      log_.write(LogLevel::notice, "root document version " + std::to_string(taken.version) + " is in force");
    }
  };
  carry_out(std::move(effects), std::move(around));
  check_gate_key();
  return Verdict::consume;
}

Verdict ServiceImpl::take_manifest(const Sender& sender, const GroupPath& group, std::string_view topic,
                                   ByteView payload) {
  ManifestId id;
  const auto status = accept_manifest(sender, group, payload, id);
  if (status.has_value()) return Verdict::consume;
  if (!id.is_zero()) outbox_.refused(id, dump(refused_json(id, status.error(), now_.wall)));
  return refuse(sender, topic, status.error());
}

Status ServiceImpl::accept_manifest(const Sender& sender, const GroupPath& group, ByteView payload, ManifestId& id) {
  if (commits_.is_behind()) return fail(Code::unavailable, "the store is behind or down: publish again later");
  const auto is_complete = [this](const PackId& pack) { return upload_.is_complete(pack); };
  INSTAR_TRY(const auto manifest, open_manifest(roots_.trust(), group, payload, now_.wall, is_complete, id));
  rollout::Effects effects;
  INSTAR_TRY(const auto envelope, trust::parse_envelope(payload));
  INSTAR_TRY(const auto taken,
             tracker_.take_manifest(id, manifest, trust::signers_of(envelope), name_of(sender), now_, effects));
  Around around;
  if (taken == rollout::Tracker::Taken::created) {
    around.batch.push_back({storage::Column::rollouts, storage::manifest_key(id), to_bytes(payload)});
  } else {
    effects.emplace_back(rollout::ShowStatus{id});
  }
  if (taken == rollout::Tracker::Taken::created || sender.identity_known) {
    around.before = [this, group, envelope = to_bytes(payload)] { outbox_.manifest(group, envelope); };
  }
  carry_out(std::move(effects), std::move(around));
  return {};
}

// One without groups takes the one before back: the device then goes by its own configuration. Whether it may follow
// the one before shows when the store has been read.
Verdict ServiceImpl::take_assignment(const Sender& sender, const DeviceId& device, std::string_view topic,
                                     ByteView payload) {
  if (commits_.is_behind())
    return refuse(sender, topic, {Code::unavailable, "the store is behind or down: publish again later"});
  const auto* known = tracker_.device(device);
  const auto groups = known == nullptr ? std::vector<GroupPath>() : known->record.description.groups;
  if (auto status = check_assignment(roots_.trust(), device, groups, payload, now_.wall); !status.has_value())
    return refuse(sender, topic, status.error());
  store_.read(
      storage::Column::meta, storage::assignment_key(device),
      [this, self = std::weak_ptr(self_), device, envelope = to_bytes(payload), own = sender.identity_known,
       client = std::string(sender.client_id), user = std::string(sender.username),
       address = std::string(sender.address), where = std::string(topic)](const Result<std::optional<Bytes>>& stored) {
        if (self.expired()) return;
        auto status = assign(device, envelope, own, stored);
        if (!status.has_value()) static_cast<void>(refuse({client, user, own, address}, where, status.error()));
      });
  return Verdict::consume;
}

Status ServiceImpl::assign(const DeviceId& device, const Bytes& envelope, bool own_connection,
                           const Result<std::optional<Bytes>>& stored) {
  if (!stored.has_value()) return fail(stored.error());
  const auto on_its_way = assigning_.find(device);
  const auto& before = on_its_way != assigning_.end() ? std::optional(on_its_way->second) : *stored;
  const auto* trust = roots_.trust();
  if (trust == nullptr) return fail(Code::untrusted_key, "no root document is known here");
  if (before.has_value() && *before == envelope && !own_connection) return {};
  if (before.has_value() && *before != envelope)
    INSTAR_CHECK(check_assignment_after(*trust, *before, envelope, now_.wall));
  put_in_force(device, envelope);
  return {};
}

void ServiceImpl::put_in_force(const DeviceId& device, const Bytes& assignment) {
  assigning_[device] = assignment;
  commits_.when_durable({{storage::Column::meta, storage::assignment_key(device), assignment}},
                        [this, device, assignment] {
                          const auto last = assigning_.find(device);
                          if (last != assigning_.end() && last->second == assignment) assigning_.erase(last);
                          outbox_.assignment(device, assignment);
                        });
}

Status ServiceImpl::take_put(const Sender& sender, const ClientId& client, ByteView payload) {
  const auto name = Intake::client_of(sender, client.str());
  if (const auto refusal = intake_.check(name, sender, Intent::put, payload.size(), now_.monotonic))
    return fail(refusal->error);
  INSTAR_TRY(const auto put, wire::decode_put(payload));
  if (commits_.is_behind()) {
    const Error error{Code::unavailable, "the store is behind or down: send again later"};
    refuse_put(client, put.pack, error);
    return fail(error);
  }
  return upload_.put(client, put);
}

void ServiceImpl::refuse_put(const ClientId& client, const PackId& pack, const Error& error) {
  wire::Stored stored;
  stored.pack = pack;
  stored.code = error.code;
  stored.reason = error.message;
  outbox_.stored(client, stored);
}

}  // namespace instar::broker
