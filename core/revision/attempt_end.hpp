// How an attempt ends before a commit: what is recorded, reported and left behind. Asks the parts in their order.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/error.hpp"
#include "core/revision/parts.hpp"

namespace instar::revision {

// The attempt has failed, and the running revision is what it was before. Another one follows after a pause, if any are
// left and it could end in another way. `fresh_revision`: its folder is of no use to the next one.
void end_attempt(Parts& parts, const Error& error, wire::Step step, bool fresh_revision);

// The attempt ends without having failed. One whose pause is running has ended already, and has said so: the next one
// will not begin. The caller gives the candidate up.
void stop_attempt(Parts& parts, Code code, const std::string& reason);

// Gives the candidate up. What it holds stays for a release that shares content with it, in place of what earlier ones
// left: until a commit, or until room is needed.
enum class Leftover : std::uint8_t { keep, remove };
void drop_candidate(Parts& parts, Leftover leftover);
// The same, and all folders stay.
void forget_candidate(Parts& parts);

}  // namespace instar::revision
