// Carries bytes between a connection to the broker and a socket of this machine, both ways.
#pragma once

#include <atomic>

#include "mqtt/probe_link.hpp"

namespace instar::mqtt {

// `link` stands; `fd` is a stream socket. Returns when `fd` has ended and what it said is sent, or cannot be sent for
// limits::kProbeStepMs; or when it was stopped. Where the broker ends first, `fd` gets the rest of what it said, and an
// end of its own. Each way holds one block of 16 KiB: a side that does not read holds the other one up.
void carry(ProbeLink& link, int fd, const std::atomic<bool>& stopped);

}  // namespace instar::mqtt
