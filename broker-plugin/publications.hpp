// What operators publish, looked at before it is taken: manifests and assignments.
#pragma once

#include <functional>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/rollout/tracker.hpp"
#include "core/trust/root.hpp"
#include "core/wire/manifest.hpp"

namespace instar::broker {

// A manifest that came on the topic of `audience`. `trust`: nullptr when no root document is known. `is_complete`:
// whether the store has all of a pack. `time_of`: the time to hold a manifest against that was issued then. `id` is set
// as soon as it is known, also when the manifest is refused. Errors: those of the envelope, its signatures and the
// codec; expired; refused (published to a group or a product that it does not name); not_found (a pack).
[[nodiscard]] Result<wire::Manifest> open_manifest(const trust::TrustStore* trust, const rollout::Audience& audience,
                                                   ByteView payload,
                                                   const std::function<WallMs(WallMs issued)>& time_of,
                                                   const std::function<bool(const PackId&)>& is_complete,
                                                   ManifestId& id);
// An assignment that came on `device`'s topic. `groups`: those of the device's last hello, of an unknown one none.
// Errors: those of the envelope, its signatures and the codec; untrusted_key (its keys do not reach the groups that the
// device leaves, or those that it gets); refused (it is of another device, or dated ahead of `now`).
[[nodiscard]] Status check_assignment(const trust::TrustStore* trust, const DeviceId& device,
                                      const std::vector<GroupPath>& groups, ByteView payload, WallMs now);
// An operator's word on who may be a device. `tracker`: what is known of that. Errors: those of the envelope, its
// signatures and the codec; untrusted_key (its keys do not reach the groups that it gives, or those that a known or
// enrolled device would leave); expired; stale (not later than the one before); refused (dated ahead of `now`).
[[nodiscard]] Result<wire::Enrolment> open_enrolment(const trust::TrustStore* trust, const rollout::Tracker& tracker,
                                                     ByteView payload, WallMs now);
// An assignment, held against the one that the store has for the device. Errors: untrusted_key (its keys do not reach
// the groups of that one), stale (it is not later than that one).
[[nodiscard]] Status check_assignment_after(const trust::TrustStore& trust, ByteView stored, ByteView payload,
                                            WallMs now);

}  // namespace instar::broker
