#include "publisher/release/approval_seal.hpp"

#include <utility>

#include "core/trust/envelope.hpp"
#include "core/wire/approval.hpp"

namespace instar::publisher {

Result<ManifestAsSent> read_manifest_as_sent(ByteView envelope) {
  INSTAR_TRY(const auto parsed, trust::parse_envelope(envelope));
  if (parsed.kind != trust::Kind::manifest) return fail(Code::malformed, "this is no manifest");
  INSTAR_TRY(auto manifest, wire::decode_manifest(parsed.payload));
  return ManifestAsSent{ManifestId(parsed.payload_hash), std::move(manifest)};
}

Result<Bytes> seal_approval(const ManifestAsSent& release, std::uint32_t wave, std::span<const trust::SecretKey> keys,
                            WallMs now) {
  const auto& manifest = release.manifest;
  if (wave >= manifest.policy.waves.size() || !manifest.policy.waves[wave].approval) {
    return fail(Code::invalid_argument,
                "wave " + std::to_string(wave + 1) + " of release " + manifest.release + " asks for no approval");
  }
  const wire::Approval approval{manifest.product, release.hash, wave, now};
  return trust::seal(trust::Kind::approval, wire::encode(approval), keys);
}

}  // namespace instar::publisher
