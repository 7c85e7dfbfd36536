// What operators publish, looked at before it is taken: manifests and assignments.
#pragma once

#include <functional>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/trust/root.hpp"
#include "core/wire/manifest.hpp"

namespace instar::broker {

// A manifest that came on `group`'s topic. `trust`: nullptr when no root document is known. `is_complete`: whether the
// store has all of a pack. `id` is set as soon as it is known, also when the manifest is refused. Errors: those of the
// envelope, its signatures and the codec; expired; refused (published to a group that it does not name); not_found (a
// pack).
[[nodiscard]] Result<wire::Manifest> open_manifest(const trust::TrustStore* trust, const GroupPath& group,
                                                   ByteView payload, WallMs now,
                                                   const std::function<bool(const PackId&)>& is_complete,
                                                   ManifestId& id);
// An assignment that came on `device`'s topic. Errors: those of the envelope, its signatures and the codec; refused (it
// is of another device).
[[nodiscard]] Status check_assignment(const trust::TrustStore* trust, const DeviceId& device, ByteView payload);

}  // namespace instar::broker
