#include "broker-plugin/publications.hpp"

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

}  // namespace

Result<wire::Manifest> open_manifest(const trust::TrustStore* trust, const GroupPath& group, ByteView payload,
                                     WallMs now, const std::function<bool(const PackId&)>& is_complete,
                                     ManifestId& id) {
  INSTAR_TRY(const auto envelope, trust::parse_envelope(payload));
  id = ManifestId(envelope.payload_hash);
  if (trust == nullptr) return fail(Code::untrusted_key, "no root document is known here");
  const auto& root = trust->root();
  if (root.expires.value != 0 && root.expires <= now) {
    return fail(Code::expired, "the root document (version " + std::to_string(root.version) +
                                   ") has expired: publish its successor first");
  }
  INSTAR_CHECK(trust->open_manifest(payload, group));
  INSTAR_TRY(auto manifest, wire::decode_manifest(envelope.payload));
  bool named = false;
  for (const auto& own : manifest.groups) {
    named = named || own == group;
    // Its gate will stand on each of its groups: its keys must reach them all.
    auto allowed = trust->open_manifest(payload, own);
    if (!allowed.has_value()) return fail(with_context(std::move(allowed.error()), "group " + own.str()));
  }
  if (!named)
    return fail(Code::refused, "the manifest does not name the group " + group.str() + " that it was published to");
  if (manifest.expires.value != 0 && manifest.expires <= now) {
    return fail(Code::expired, "the manifest has expired: sign it anew with a later expiry");
  }
  INSTAR_CHECK(check_packs(manifest, is_complete));
  return manifest;
}

Status check_assignment(const trust::TrustStore* trust, const DeviceId& device, ByteView payload) {
  if (trust == nullptr) return fail(Code::untrusted_key, "no root document is known here");
  INSTAR_TRY(const auto envelope, trust->open_assignment(payload));
  INSTAR_TRY(const auto assignment, wire::decode_assignment(envelope.payload));
  if (assignment.device != device) return fail(Code::refused, "the assignment is of device " + assignment.device.str());
  for (const auto& group : assignment.groups) {
    auto allowed = trust->allows_assignment(envelope, group);
    if (!allowed.has_value()) return fail(with_context(std::move(allowed.error()), "group " + group.str()));
  }
  return {};
}

}  // namespace instar::broker
