#include "broker-plugin/publications.hpp"

#include <string>

#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "core/wire/messages.hpp"

namespace instar::broker {
namespace {

Status check_packs(const wire::Manifest& manifest, const std::function<bool(const PackId&)>& is_complete) {
  for (const auto& artifact : manifest.artifacts) {
    for (const auto& pack : artifact.packs) {
      if (is_complete(pack.id)) continue;
      return fail(Code::not_found, std::string(artifact::pack_kind_name(pack.kind)) + " pack " + pack.id.short_hex() +
                                       " of artifact " + artifact.id.short_hex() +
                                       " is not complete in the broker: upload it first, then publish again");
    }
  }
  return {};
}

// `why`: what the groups have to do with the assignment.
Status check_reach(const trust::TrustStore& trust, const trust::Envelope& envelope,
                   const std::vector<GroupPath>& groups, const std::string& why) {
  for (const auto& group : groups) {
    auto status = trust.reaches(envelope, group);
    if (!status.has_value()) return fail(with_context(std::move(status.error()), why));
  }
  return {};
}

}  // namespace

Result<wire::Manifest> open_manifest(const trust::TrustStore* trust, const rollout::Audience& audience,
                                     ByteView payload, const std::function<WallMs(WallMs issued)>& time_of,
                                     const std::function<bool(const PackId&)>& is_complete, ManifestId& id) {
  INSTAR_TRY(const auto envelope, trust::parse_envelope(payload));
  id = ManifestId(envelope.payload_hash);
  if (trust == nullptr) return fail(Code::untrusted_key, "no root document is known here");
  INSTAR_TRY(const auto opened, trust->open_manifest(payload, audience.group));
  INSTAR_TRY(auto manifest, wire::decode_manifest(envelope.payload));
  const auto now = time_of(manifest.issued);
  const auto& root = trust->root();
  if (root.expires.value != 0 && root.expires <= now) {
    return fail(Code::expired, "the root document (version " + std::to_string(root.version) + ") expired on " +
                                   utc_text(root.expires) + ", and it is " + utc_text(now) +
                                   " by this broker's clock: publish its successor first");
  }
  bool named = false;
  for (const auto& own : manifest.groups) {
    named = named || own == audience.group;
    // Its gate will stand on each of its groups: its keys must reach them all.
    INSTAR_CHECK(trust->reaches(opened, own));
  }
  if (!named)
    return fail(Code::refused,
                "the manifest does not name the group " + audience.group.str() + " that it was published to");
  if (manifest.product != audience.product) {
    return fail(Code::refused, "the manifest is for product " + manifest.product +
                                   ", and was published to the topic of product " + audience.product);
  }
  if (manifest.expires.value != 0 && manifest.expires <= now) {
    return fail(Code::expired, "the manifest expired on " + utc_text(manifest.expires) + ", and it is " +
                                   utc_text(now) + " by this broker's clock: sign it anew with a later expiry");
  }
  INSTAR_CHECK(check_packs(manifest, is_complete));
  return manifest;
}

Status check_assignment(const trust::TrustStore* trust, const DeviceId& device, const std::vector<GroupPath>& groups,
                        ByteView payload, WallMs now) {
  if (trust == nullptr) return fail(Code::untrusted_key, "no root document is known here");
  INSTAR_TRY(const auto envelope, trust->open_assignment(payload));
  INSTAR_TRY(const auto assignment, wire::decode_assignment(envelope.payload));
  if (assignment.device != device) return fail(Code::refused, "the assignment is of device " + assignment.device.str());
  INSTAR_CHECK(check_reach(*trust, envelope, assignment.groups, "device " + device.str() + " would get it"));
  INSTAR_CHECK(check_reach(*trust, envelope, groups, "device " + device.str() + " would leave it"));
  const auto ahead = assignment.issued - now;
  if (ahead <= limits::kAssignmentAheadMsMax) return {};
  return fail(Code::refused, "the assignment of device " + device.str() + " is dated " + std::to_string(ahead / 1'000) +
                                 " s ahead of this broker's clock, more than a day: set the clock of the machine that "
                                 "signs, or of this one, and sign it again");
}

Result<wire::Enrolment> open_enrolment(const trust::TrustStore* trust, const rollout::Tracker& tracker,
                                       ByteView payload, WallMs now) {
  if (trust == nullptr) return fail(Code::untrusted_key, "no root document is known here");
  INSTAR_TRY(const auto envelope, trust->open_enrolment(payload));
  INSTAR_TRY(auto enrolment, wire::decode_enrolment(envelope.payload));
  const auto device = "device " + enrolment.device.str();
  INSTAR_CHECK(check_reach(*trust, envelope, enrolment.groups, device + " would get it"));
  const auto* before = tracker.enrolments().find(enrolment.device);
  if (before != nullptr) INSTAR_CHECK(check_reach(*trust, envelope, before->groups, device + " would leave it"));
  if (const auto* known = tracker.device(enrolment.device); known != nullptr)
    INSTAR_CHECK(check_reach(*trust, envelope, known->record.description.groups, device + " would leave it"));
  if (enrolment.expires.value != 0 && enrolment.expires <= now)
    return fail(Code::expired, "the enrolment of " + device + " has expired: sign it again with a later expiry");
  if (enrolment.issued - now > limits::kAssignmentAheadMsMax) {
    return fail(Code::refused, "the enrolment of " + device +
                                   " is dated more than a day ahead of this broker's clock: set the clock of the "
                                   "machine that signs, or of this one, and sign it again");
  }
  if (before == nullptr || enrolment.issued > before->issued || wire::encode(*before) == wire::encode(enrolment))
    return enrolment;
  return fail(Code::stale, "a later enrolment of " + device + " is in force: sign it again");
}

Status check_assignment_after(const trust::TrustStore& trust, ByteView stored, ByteView payload, WallMs now) {
  INSTAR_TRY(const auto before, trust::parse_envelope(stored));
  INSTAR_TRY(const auto known, wire::decode_assignment(before.payload));
  INSTAR_TRY(const auto envelope, trust.open_assignment(payload));
  INSTAR_TRY(const auto assignment, wire::decode_assignment(envelope.payload));
  INSTAR_CHECK(check_reach(trust, envelope, known.groups, "device " + known.device.str() + " would leave it"));
  // As on the device: one by a key that is not in force any more, or dated far ahead, keeps no other out.
  const bool counts = trust.open_assignment(stored).has_value() && known.issued - now <= limits::kAssignmentAheadMsMax;
  const auto bar = counts ? known.issued : trust.root().issued;
  if (assignment.issued > bar || bar - now > limits::kAssignmentAheadMsMax) return {};
  return fail(Code::stale, "the assignment of device " + known.device.str() + " was signed at " +
                               std::to_string(assignment.issued.value) + " ms since 1970, and one of " +
                               std::to_string(bar.value) + " is in force: sign it again");
}

}  // namespace instar::broker
