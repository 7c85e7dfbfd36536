// The tracker's records in the store: its effects as writes, its state read back, and what the broker had retained.
#pragma once

#include <vector>

#include "broker-plugin/log.hpp"
#include "broker-plugin/roots.hpp"
#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/rollout/tracker.hpp"
#include "storage/store.hpp"

namespace instar::broker {

// Adds what `effect` writes to `batch`; false: it writes nothing.
[[nodiscard]] bool add_write(storage::Batch& batch, const rollout::Effect& effect);

// A tracker as the store has it. A record that cannot be read is passed over and logged: its device says hello again,
// its rollout can be published again. `listed`: only enrolled devices may come. Errors: those of the store.
[[nodiscard]] Result<rollout::Tracker> load_tracker(storage::Store& store, const Roots& roots, bool listed, Now now,
                                                    const Log& log);

struct StoredManifest {
  rollout::Audience audience;
  Bytes envelope;
};
struct StoredAssignment {
  DeviceId device;
  Bytes envelope;
};
// The current manifest of each audience whose keys are in force, and every assignment. What cannot be read is logged.
[[nodiscard]] std::vector<StoredManifest> read_manifests(storage::Store& store, const rollout::Tracker& tracker,
                                                         const Log& log);
[[nodiscard]] std::vector<StoredAssignment> read_assignments(storage::Store& store, const Log& log);

}  // namespace instar::broker
