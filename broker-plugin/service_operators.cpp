// What operators publish: root documents, manifests, assignments, packs.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "broker-plugin/pack_needs.hpp"
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
  if (commits_.is_down()) return refuse(sender, topic, commits_.why_down());
  auto taken = roots_.take(payload);
  if (!taken.has_value()) return refuse(sender, topic, taken.error());
  if (!taken->is_new && !sender.identity_known) return Verdict::consume;
  rollout::Effects effects;
  if (taken->is_new) {
    tracker_.take_keys(roots_.keys(), effects);
    tracker_.withdraw_unsigned(now_, effects);
  }
  Around around;
  around.batch = std::move(taken->batch);
  const bool is_later = taken->is_new && taken->is_newest;
  around.before = [this, taken = std::move(*taken)] {
    if (taken.is_newest) outbox_.root(taken.envelope);
    outbox_.root_version(taken.version, taken.envelope);
    if (!taken.is_new) return;
    const auto version = std::to_string(taken.version);
    log_.write(LogLevel::notice, taken.is_newest ? "root document version " + version + " is in force"
                                                 : "kept: version " + version +
                                                       " of the chain of root documents, for devices "
                                                       "that were away");
  };
  carry_out(std::move(effects), std::move(around));
  if (is_later && clock_.vouch_by_root(roots_.trust()->root().issued, now_)) clock_judged();
  check_gate_key();
  check_approvals();
  warn_of_expiry();
  return Verdict::consume;
}

Verdict ServiceImpl::take_manifest(const Sender& sender, const wire::Topic& parsed, std::string_view topic,
                                   ByteView payload) {
  ManifestId id;
  const auto status = accept_manifest(sender, {parsed.group, parsed.product}, payload, id);
  if (status.has_value()) return Verdict::consume;
  if (!id.is_zero()) outbox_.refused(id, dump(refused_json(id, status.error(), now_.wall)));
  return refuse(sender, topic, status.error());
}

Status ServiceImpl::accept_manifest(const Sender& sender, const rollout::Audience& audience, ByteView payload,
                                    ManifestId& id) {
  if (commits_.is_behind()) return fail(Code::unavailable, "the store is behind or down: publish again later");
  const auto is_complete = [this](const PackId& pack) { return upload_.is_complete(pack); };
  const auto time_of = [this](WallMs issued) { return clock_.best(now_.wall, issued); };
  INSTAR_TRY(const auto manifest, open_manifest(roots_.trust(), audience, payload, time_of, is_complete, id));
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
    around.before = [this, audience, envelope = to_bytes(payload)] { outbox_.manifest(audience, envelope); };
  }
  around.lost = [this, id](const Error& why) { outbox_.refused(id, dump(refused_json(id, why, now_.wall))); };
  carry_out(std::move(effects), std::move(around));
  if (taken == rollout::Tracker::Taken::created && clock_.vouch(manifest.issued, now_)) clock_judged();
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
  if (auto status = check_assignment(roots_.trust(), device, groups, payload, clock_.best(now_.wall));
      !status.has_value())
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
    INSTAR_CHECK(check_assignment_after(*trust, *before, envelope, clock_.best(now_.wall)));
  put_in_force(device, envelope);
  return {};
}

void ServiceImpl::put_in_force(const DeviceId& device, const Bytes& assignment) {
  assigning_[device] = assignment;
  commits_.when_durable({{storage::Column::meta, storage::assignment_key(device), assignment}},
                        [this, device, assignment] {
                          const auto last = assigning_.find(device);
                          if (last != assigning_.end() && last->second == assignment) assigning_.erase(last);
                          note_assigned(device, assignment);
                          outbox_.assignment(device, assignment);
                        });
}

// For the device's next hello, where groups are the operator's word.
void ServiceImpl::note_assigned(const DeviceId& device, ByteView assignment) {
  const auto envelope = trust::parse_envelope(assignment);
  if (!envelope.has_value()) return;
  auto decoded = wire::decode_assignment(envelope->payload);
  if (decoded.has_value()) tracker_.assign(device, std::move(decoded->groups));
}

Status ServiceImpl::take_put(const Sender& sender, const ClientId& client, ByteView payload) {
  const auto name = Intake::client_of(sender, client.str());
  if (const auto refusal = intake_.check(name, sender, Intent::put, payload.size(), now_.monotonic))
    return fail(refusal->error);
  INSTAR_TRY(const auto put, wire::decode_put(payload));
  if (commits_.is_behind()) {
    const auto error = commits_.is_down() ? commits_.why_down()
                                          : Error{Code::unavailable, "the broker's store is behind: send again later"};
    refuse_put(client, put.pack, error);
    return fail(error);
  }
  return upload_.put(client, put);
}

// The ones used longest ago, as many as are too many. What has been deleted comes back to the disk a while after.
Status ServiceImpl::make_room(std::uint64_t bytes) {
  auto& packs = upload_.packs();
  const auto taken = packs.bytes() + bytes;
  const auto free = options_.free_bytes ? options_.free_bytes() : std::nullopt;
  const auto wanted = bytes + options_.disk_free_min;
  const auto over =
      options_.pack_bytes_max != 0 && taken > options_.pack_bytes_max ? taken - options_.pack_bytes_max : 0;
  const auto lacking = free.has_value() && *free < wanted ? wanted - *free : 0;
  if (over == 0 && lacking == 0) return {};
  std::vector<PackId> going;
  std::uint64_t gained = 0;
  for (const auto& pack : unneeded_packs(upload_, pack_needs(tracker_), limits::kPackUsedMs, now_.wall)) {
    if (gained >= std::max(over, lacking)) break;
    gained += packs.all().at(pack).bytes;
    going.push_back(pack);
  }
  if (gained < over) {
    return fail(Code::no_space, "packs may take " + std::to_string(options_.pack_bytes_max) +
                                    " bytes together (plugin_opt_pack_bytes_max), and there would be " +
                                    std::to_string(taken - gained) + ": remove some (instar packs list)");
  }
  upload_.remove(going);
  if (!going.empty()) {
    log_.write(LogLevel::notice, "removing packs that nothing needs (" + std::to_string(going.size()) +
                                     "), as there is no room for an upload of " + std::to_string(bytes) + " bytes");
  }
  if (lacking == 0) return {};
  const std::string disk = "no space left on the broker's disk: it has " + std::to_string(free.value_or(0)) +
                           " bytes free, and would need " + std::to_string(wanted) +
                           " (plugin_opt_disk_free_min is among them)";
  if (packs.removing_count() > 0)
    return fail(Code::unavailable, disk + ": packs that nothing needs are being removed, send it again in a while");
  return fail(Code::no_space, disk + ": remove packs (instar packs list), or make room on the disk");
}

void ServiceImpl::refuse_put(const ClientId& client, const PackId& pack, const Error& error) {
  wire::Stored stored;
  stored.pack = pack;
  stored.code = error.code;
  stored.reason = error.message;
  outbox_.stored(client, stored);
}

}  // namespace instar::broker
