// What operators publish: root documents, manifests, assignments, packs.
#include <utility>

#include "broker-plugin/publications.hpp"
#include "broker-plugin/service_impl.hpp"
#include "broker-plugin/status_json.hpp"
#include "core/trust/envelope.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {

// Durable first, then retained by the broker itself: devices never hold a document that this store has lost.
Verdict ServiceImpl::take_root(std::string_view topic, ByteView payload) {
  if (commits_.is_down()) return refuse(topic, {Code::unavailable, "the store is down: publish again later"});
  auto taken = roots_.take(payload);
  if (!taken.has_value()) return refuse(topic, taken.error());
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
                                   ByteView payload, wire::Retain retain) {
  ManifestId id;
  const auto status = accept_manifest(sender, group, payload, retain, id);
  if (status.has_value()) return retain == wire::Retain::yes ? Verdict::route : Verdict::consume;
  if (!id.is_zero()) outbox_.refused(id, dump(refused_json(id, status.error(), now_.wall)));
  return refuse(topic, status.error());
}

Status ServiceImpl::accept_manifest(const Sender& sender, const GroupPath& group, ByteView payload, wire::Retain retain,
                                    ManifestId& id) {
  if (commits_.is_behind()) return fail(Code::unavailable, "the store is behind or down: publish again later");
  const auto is_complete = [this](const PackId& pack) { return upload_.is_complete(pack); };
  INSTAR_TRY(const auto manifest, open_manifest(roots_.trust(), group, payload, now_.wall, is_complete, id));
  rollout::Effects effects;
  INSTAR_TRY(const auto taken, tracker_.take_manifest(id, manifest, name_of(sender), now_, effects));
  storage::Batch batch;
  if (taken == rollout::Tracker::Taken::created) {
    batch.push_back({storage::Column::rollouts, storage::manifest_key(id), to_bytes(payload)});
  } else {
    effects.emplace_back(rollout::ShowStatus{id});
  }
  std::function<void()> retain_it;
  if (retain == wire::Retain::no) {
    // Devices that connect later must receive it too.
    retain_it = [this, group, envelope = to_bytes(payload)] { outbox_.manifest(group, envelope); };
  }
  carry_out(std::move(effects), std::move(batch), std::move(retain_it));
  return {};
}

// One without groups takes the one before back: the device then goes by its own configuration.
Verdict ServiceImpl::take_assignment(const DeviceId& device, std::string_view topic, ByteView payload,
                                     wire::Retain retain) {
  if (commits_.is_behind())
    return refuse(topic, {Code::unavailable, "the store is behind or down: publish again later"});
  if (auto status = check_assignment(roots_.trust(), device, payload); !status.has_value())
    return refuse(topic, status.error());
  storage::Batch batch{{storage::Column::meta, storage::assignment_key(device), to_bytes(payload)}};
  commits_.when_durable(std::move(batch), [this, device, envelope = to_bytes(payload), retain] {
    if (retain == wire::Retain::no) outbox_.assignment(device, envelope);
  });
  return retain == wire::Retain::yes ? Verdict::route : Verdict::consume;
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
