// What operators publish: root documents, manifests, assignments, packs.
#include <utility>

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
  if (commits_.is_down()) return refuse(topic, {Code::unavailable, "the store is down: publish again later"});
  auto taken = roots_.take(payload);
  if (!taken.has_value()) return refuse(topic, taken.error());
  if (!taken->is_new && !sender.identity_known) return Verdict::consume;
  auto batch = std::move(taken->batch);
  commits_.when_durable(std::move(batch), [this, taken = std::move(*taken)] {
    outbox_.root(taken.envelope);
    if (taken.is_new) {
      log_.write(LogLevel::notice, "root document version " + std::to_string(taken.version) + " is in force");
    }
  });
  check_gate_key();
  return Verdict::consume;
}

Verdict ServiceImpl::take_manifest(const Sender& sender, const GroupPath& group, std::string_view topic,
                                   ByteView payload) {
  ManifestId id;
  const auto status = accept_manifest(sender, group, payload, id);
  if (status.has_value()) return Verdict::consume;
  if (!id.is_zero()) outbox_.refused(id, dump(refused_json(id, status.error(), now_.wall)));
  return refuse(topic, status.error());
}

Status ServiceImpl::accept_manifest(const Sender& sender, const GroupPath& group, ByteView payload, ManifestId& id) {
  if (commits_.is_behind()) return fail(Code::unavailable, "the store is behind or down: publish again later");
  const auto is_complete = [this](const PackId& pack) { return upload_.is_complete(pack); };
  INSTAR_TRY(const auto manifest, open_manifest(roots_.trust(), group, payload, now_.wall, is_complete, id));
  rollout::Effects effects;
  INSTAR_TRY(const auto taken, tracker_.take_manifest(id, manifest, name_of(sender), now_, effects));
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

// One without groups takes the one before back: the device then goes by its own configuration.
Verdict ServiceImpl::take_assignment(const Sender& sender, const DeviceId& device, std::string_view topic,
                                     ByteView payload) {
  if (commits_.is_behind())
    return refuse(topic, {Code::unavailable, "the store is behind or down: publish again later"});
  if (auto status = check_assignment(roots_.trust(), device, payload); !status.has_value())
    return refuse(topic, status.error());
  if (sender.identity_known) {
    put_in_force(device, to_bytes(payload));
    return Verdict::consume;
  }
  store_.read(storage::Column::meta, storage::assignment_key(device),
              [this, self = std::weak_ptr(self_), device,
               envelope = to_bytes(payload)](const Result<std::optional<Bytes>>& stored) {
                if (self.expired() || (stored.has_value() && *stored == envelope)) return;
                put_in_force(device, envelope);
              });
  return Verdict::consume;
}

void ServiceImpl::put_in_force(const DeviceId& device, const Bytes& assignment) {
  commits_.when_durable({{storage::Column::meta, storage::assignment_key(device), assignment}},
                        [this, device, assignment] { outbox_.assignment(device, assignment); });
}

Status ServiceImpl::take_put(const ClientId& client, ByteView payload) {
  INSTAR_TRY(const auto put, wire::decode_put(payload));
  if (is_behind()) {
    const Error error{Code::unavailable, "the store is behind or down: send again later"};
    wire::Stored stored;
    stored.pack = put.pack;
    stored.code = error.code;
    stored.reason = error.message;
    outbox_.stored(client, stored);
    return fail(error);
  }
  return upload_.put(client, put);
}

}  // namespace instar::broker
