// The times at which waves opened, as gates say them. They are of the wall clock, which may have been ahead and then
// been set back.
#pragma once

#include <vector>

#include "core/base/time.hpp"
#include "core/wire/manifest.hpp"

namespace instar::rollout {

// Moves times of waves 0 … back so that none lies after `now`, and the soak of each wave lies between it and the next
// as before. None is moved to before `earliest`, so that with a `now` too close to that the last ones stay in the
// future. Times that are so already stay. True: some were moved.
bool mend_wave_times(const wire::Policy& policy, WallMs earliest, WallMs now, std::vector<WallMs>& opened);

}  // namespace instar::rollout
