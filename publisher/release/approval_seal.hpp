// What an operator signs when a wave is approved.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/trust/keys.hpp"
#include "core/wire/manifest.hpp"

namespace instar::publisher {

// A manifest as it came, with the hash that names its rollout. Nobody's signature was looked at: an approval is for
// these bytes, and counts only where they are signed as well.
struct ManifestAsSent {
  ManifestId hash;
  wire::Manifest manifest;
};
// Errors: malformed, too_large, unsupported.
[[nodiscard]] Result<ManifestAsSent> read_manifest_as_sent(ByteView envelope);

// The envelope of the yes to `wave`, from 0, and to all before it. Errors: invalid_argument (the wave asks for none).
[[nodiscard]] Result<Bytes> seal_approval(const ManifestAsSent& release, std::uint32_t wave,
                                          std::span<const trust::SecretKey> keys, WallMs now);

}  // namespace instar::publisher
