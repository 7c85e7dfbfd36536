// Policies of every kind, drawn by the seed.
#pragma once

#include <string>
#include <vector>

#include "core/wire/manifest.hpp"
#include "tests/sim/world.hpp"

namespace instar::sim {

// Anything goes: some can never finish (a window that does not open, an approval that nobody gives).
[[nodiscard]] wire::Policy draw_policy(Random& random, const std::vector<std::string>& devices);
// One that a healed fleet gets through within minutes.
[[nodiscard]] wire::Policy draw_gentle_policy(Random& random, const std::vector<std::string>& devices);

}  // namespace instar::sim
