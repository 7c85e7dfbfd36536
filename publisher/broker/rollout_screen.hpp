// A rollout on a terminal, as `instar rollout watch` draws it again and again.
#pragma once

#include <string>

#include "core/base/time.hpp"
#include "publisher/broker/rollout_view.hpp"
#include "publisher/console/screen.hpp"

namespace instar::publisher {

// At most `size.rows - 1` lines, none as wide as the screen: nothing scrolls or wraps. What matters most stays where
// there is little room: release, state and counts, then what to do next, the waves, the reasons, bytes and times.
// Counts of zero are left out.
[[nodiscard]] std::string rollout_screen(const RolloutStatus& status, WallMs now, ScreenSize size);

}  // namespace instar::publisher
