// What the store has kept of a device's reports and of a rollout's events, read into a response.
#pragma once

#include <cstdint>

#include "broker-plugin/reply.hpp"
#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "storage/store.hpp"

namespace instar::broker {

// Both put what they find under `data` of the slot once it is read, the oldest first; the newest are read first, so
// that they are the ones for which the reply has room. The reply waits for them.

// `reports_max` of the last reports, under `last_reports`; `last`: the number of the newest.
void read_reports(storage::Store& store, const DeviceId& device, std::uint64_t last, std::uint64_t reports_max,
                  const Slot& slot);
// The last events of `count`, under `events`.
void read_events(storage::Store& store, const ManifestId& rollout, std::uint64_t count, const Slot& slot);

}  // namespace instar::broker
