// Asks the broker what the devices of a release run.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "publisher/broker/session.hpp"
#include "publisher/console/failure.hpp"
#include "publisher/release/release_deltas.hpp"

namespace instar::publisher {

// At most limits::kFleetArtifactsMax artifacts. If the broker does not know the command, that is no error: `known` is
// false then.
[[nodiscard]] Outcome<Fleet> ask_fleet(Session& session, const std::string& product,
                                       const std::vector<GroupPath>& groups);

}  // namespace instar::publisher
