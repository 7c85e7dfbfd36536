#include "core/revision/inbox.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision {
namespace {

// Of the device's own file: no signature is checked again.
std::optional<wire::Assignment> assignment_in(const Bytes& envelope_bytes) {
  if (envelope_bytes.empty()) return std::nullopt;
  const auto envelope = trust::parse_envelope(envelope_bytes);
  if (!envelope) return std::nullopt;
  auto assignment = wire::decode_assignment(envelope->payload);
  if (!assignment) return std::nullopt;
  return std::move(*assignment);
}

bool is_signers_fault(Code code) noexcept {
  return code == Code::untrusted_key || code == Code::bad_signature;
}

// The next root document may bring its signer's key, or start sequences over.
bool may_change_with_root(Code code) noexcept {
  return is_signers_fault(code) || code == Code::stale || code == Code::refused;
}

// Once for each different message, however often it comes.
void refuse_message(const Hash256& message, ByteView payload, const Error& error, const Revisions& revisions,
                    History& history, Outbox& out) {
  if (!history.refuse_once(message)) return;
  out.persist();
  const auto envelope = trust::parse_envelope(payload);
  out.log(LogLevel::warning, "a manifest is refused (" + std::string(code_name(error.code)) + "): " + error.message);
  wire::Report refusal;
  const auto manifest = envelope ? std::optional(ManifestId(envelope->payload_hash)) : std::nullopt;
  // A forged copy must not speak for the release that it copies, once this device has dealt with that one.
  if (manifest && !revisions.holds(*manifest) && history.find(*manifest) == nullptr) refusal.rollout = *manifest;
  refusal.step = wire::Step::refused;
  refusal.code = error.code;
  refusal.reason = error.message;
  out.report(std::move(refusal));
}

}  // namespace

Inbox::Inbox(const DeviceFacts& facts, trust::TrustStore trust, Bytes assignment)
    : facts_(facts), trust_(std::move(trust)), assignment_(std::move(assignment)), groups_(facts.description.groups) {
  if (const auto assigned = assignment_in(assignment_); assigned && !assigned->groups.empty())
    groups_ = assigned->groups;
}

bool Inbox::is_ours(const GroupPath& group) const noexcept {
  return std::ranges::any_of(groups_, [&](const GroupPath& own) { return group.covers(own); });
}

bool Inbox::is_ours(const wire::Topic& topic) const noexcept {
  return topic.product == facts_.description.product && is_ours(topic.group);
}

Status Inbox::check_reach(const trust::Envelope& envelope, const std::vector<GroupPath>& gets) const {
  for (const auto& group : groups_) {
    if (auto status = trust_.reaches(envelope, group); !status)
      return fail(with_context(std::move(status.error()), "this device would leave group " + group.str()));
  }
  for (const auto& group : gets) {
    if (auto status = trust_.reaches(envelope, group); !status)
      return fail(with_context(std::move(status.error()), "this device would get group " + group.str()));
  }
  return {};
}

// One by a key that is not in force any more, or dated ahead of all that this device knows of the time, cannot keep
// others out. Those of before the root document stay out then: they may be replays.
std::optional<WallMs> Inbox::assignments_bar(WallMs latest) const {
  const auto obeyed = assignment_in(assignment_);
  if (!obeyed) return std::nullopt;
  if (trust_.open_assignment(assignment_) && obeyed->issued <= latest) return obeyed->issued;
  if (trust_.root().issued <= latest) return trust_.root().issued;
  return std::nullopt;
}

Result<bool> Inbox::take_assignment(ByteView payload, const wire::Topics& topics, const TrustedTime& time,
                                    WallMs wall) {
  const auto topic = topics.device(facts_.device, wire::TopicKind::device_assignment);
  unverified_.erase(topic);
  early_.reset();
  if (std::ranges::equal(payload, assignment_)) return false;
  const auto envelope = trust_.open_assignment(payload);
  if (!envelope) {
    if (is_signers_fault(envelope.error().code)) unverified_[topic] = to_bytes(payload);
    return fail(envelope.error());
  }
  INSTAR_TRY(const auto assignment, wire::decode_assignment(envelope->payload));
  if (assignment.device != facts_.device) return fail(Code::refused, "it is of device " + assignment.device.str());
  const auto latest = time.at(wall) + limits::kAssignmentAheadMsMax;
  if (const auto bar = assignments_bar(latest); bar && assignment.issued <= *bar)
    return fail(Code::stale, "it is older than the one that is obeyed, or than the root document that ended that one");
  // Who sends a device back to its own configuration must be able to reach it there.
  const auto& gets = assignment.groups.empty() ? facts_.description.groups : assignment.groups;
  if (auto status = check_reach(*envelope, gets); !status) {
    unverified_[topic] = to_bytes(payload);
    return fail(std::move(status.error()));
  }
  // A clock that stands before the root document was never set: it says nothing.
  if (time.is_credible(wall) && assignment.issued > latest) {
    early_ = Early{to_bytes(payload), assignment.issued};
    return fail(Code::refused,
                "it is dated " + std::to_string((assignment.issued - time.at(wall)) / 1'000) +
                    " s ahead of this device's clock, more than a day: set the clock of the machine that "
                    "signs, or of this device, and sign it again");
  }
  assignment_ = to_bytes(payload);
  groups_ = gets;
  const auto is_not_ours = [&](const auto& entry) {
    const auto parsed = topics.parse(entry.first);
    return !parsed || !is_ours(*parsed);
  };
  std::erase_if(manifests_, is_not_ours);
  std::erase_if(unverified_, is_not_ours);
  return true;
}

std::optional<Bytes> Inbox::take_early(const TrustedTime& time, WallMs wall) {
  if (!early_ || early_->issued > time.at(wall) + limits::kAssignmentAheadMsMax) return std::nullopt;
  return std::exchange(early_, std::nullopt)->envelope;
}

Result<Inbox::Root> Inbox::take_root(ByteView payload, const wire::Topics& topics) {
  const auto before = trust_.root().version;
  const auto keys_before = trust_.root().release_keys();
  INSTAR_CHECK(trust_.advance(payload));
  if (trust_.root().version == before) return Root::known;
  if (!trust::replaces(trust_.root().release_keys(), keys_before)) return Root::taken;
  std::erase_if(manifests_, [&](const auto& entry) {
    const auto parsed = topics.parse(entry.first);
    const auto envelope = parsed ? trust_.open_manifest(entry.second->envelope, parsed->group)
                                 : Result<trust::Envelope>(fail(Code::internal, "a topic that is none"));
    return !envelope || !check_reach(*envelope, entry.second->manifest, parsed->group);
  });
  return Root::taken_with_keys;
}

bool Inbox::is_in_force(const Bytes& envelope, const wire::Manifest& manifest) const {
  const auto opened = trust_.open_manifest(envelope, manifest.groups.front());
  return opened && std::ranges::all_of(manifest.groups, [&](const GroupPath& group) {
           return trust_.reaches(*opened, group).has_value();
         });
}

Status Inbox::check_reach(const trust::Envelope& envelope, const wire::Manifest& manifest,
                          const GroupPath& group) const {
  for (const auto& named : manifest.groups) {
    if (auto status = trust_.reaches(envelope, named); !status)
      return fail(with_context(std::move(status.error()), "release " + manifest.release));
  }
  Status status = fail(Code::refused, "this device is not in group " + group.str());
  for (const auto& own : groups_) {
    if (!group.covers(own)) continue;
    status = trust_.reaches(envelope, own);
    if (status) return status;
  }
  return fail(with_context(std::move(status.error()), "release " + manifest.release + " is not for this device"));
}

std::map<std::string, Bytes> Inbox::take_unverified() {
  return std::exchange(unverified_, {});
}

Result<ReceivedManifest> Inbox::open_manifest(ByteView payload, const Hash256& message, const GroupPath& group,
                                              const Revisions& revisions, const History& history) const {
  INSTAR_TRY(const auto envelope, trust_.open_manifest(payload, group));
  INSTAR_TRY(auto manifest, wire::decode_manifest(envelope.payload));
  if (manifest.product != facts_.description.product) {
    return fail(Code::refused, "release " + manifest.release + " is for product " + manifest.product + ", not for " +
                                   facts_.description.product + ", on whose topic it came");
  }
  if (!manifest.is_for(group)) {
    return fail(Code::refused,
                "release " + manifest.release + " is not for group " + group.str() + ", on whose topic it came");
  }
  INSTAR_CHECK(check_reach(envelope, manifest, group));
  const ManifestId hash(envelope.payload_hash);
  if (!revisions.is_current(hash) && !revisions.is_candidate(hash) && history.find(hash) == nullptr)
    INSTAR_CHECK(history.check_sequence(manifest));
  return ReceivedManifest{message, hash, to_bytes(payload), std::move(manifest)};
}

Inbox::Change Inbox::take_manifest(const std::string& topic, const GroupPath& group, Bytes payload,
                                   const Revisions& revisions, History& history, Outbox& out) {
  const auto known = manifests_.find(topic);
  Change change;
  if (known != manifests_.end()) change.before = known->second->hash;
  if (payload.empty()) {  // the retained message was cleared
    if (known != manifests_.end()) manifests_.erase(known);
    unverified_.erase(topic);
    change.kind = Change::Kind::withdrawn;
    return change;
  }
  const auto message = trust::digest(payload);
  if (known != manifests_.end() && known->second->message == message) return change;
  if (payload.size() > limits::kMessageBytesMax) {
    refuse_message(message, {}, Error{Code::too_large, "a manifest of " + std::to_string(payload.size()) + " bytes"},
                   revisions, history, out);
    return change;
  }
  auto opened = open_manifest(payload, message, group, revisions, history);
  if (!opened && chain_.is_awaited() && is_signers_fault(opened.error().code)) {
    unverified_[topic] = std::move(payload);
    return change;
  }
  if (!opened) {
    refuse_message(message, payload, opened.error(), revisions, history, out);
    if (may_change_with_root(opened.error().code)) unverified_[topic] = std::move(payload);
    return change;
  }
  unverified_.erase(topic);
  change.kind = Change::Kind::taken;
  change.manifest = manifests_[topic] = std::make_shared<const ReceivedManifest>(std::move(*opened));
  return change;
}

const wire::Manifest* Inbox::find(const ManifestId& hash) const noexcept {
  const auto found = std::ranges::find_if(manifests_, [&](const auto& entry) { return entry.second->hash == hash; });
  return found == manifests_.end() ? nullptr : &found->second->manifest;
}

std::optional<wire::Gate> Inbox::open_gate(const std::string& topic, Bytes payload, Outbox& out) {
  const auto envelope = trust_.open_gate(payload);
  if (!envelope) {
    out.log(LogLevel::warning, "a gate on " + topic + " is refused (" + std::string(code_name(envelope.error().code)) +
                                   "): " + envelope.error().message);
    if (payload.size() <= limits::kMessageBytesMax) unverified_[topic] = std::move(payload);
    return std::nullopt;
  }
  unverified_.erase(topic);
  auto gate = wire::decode_gate(envelope->payload);
  if (!gate) {
    out.log(LogLevel::warning, "a gate on " + topic + " cannot be read: " + gate.error().message);
    return std::nullopt;
  }
  if (gate->product != facts_.description.product || !is_ours(gate->group)) return std::nullopt;
  return std::move(*gate);
}

void Inbox::assert_invariants() const {
  chain_.assert_invariants();
  INSTAR_ASSERT(!groups_.empty() || facts_.description.groups.empty());
  for (const auto& [topic, received] : manifests_) {
    INSTAR_ASSERT(received != nullptr);
    INSTAR_ASSERT(received->manifest.product == facts_.description.product);
    INSTAR_ASSERT(
        std::ranges::any_of(received->manifest.groups, [&](const GroupPath& group) { return is_ours(group); }));
  }
}

}  // namespace instar::revision
