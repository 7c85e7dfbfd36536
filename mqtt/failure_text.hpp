// Why an attempt to connect failed, in words that do not depend on the adapter.
//
// Paho answers "TCP/TLS connect failure" to a wrong name, an unknown CA and a closed port alike. What it was stands
// only in its trace, which reports each step of a handshake: the adapters pass those lines on, and the cause found in
// them is kept for the thread that traced it, which is the thread that then reports the failure.
#pragma once

#include <string>
#include <string_view>

#include "mqtt/client.hpp"

namespace instar::mqtt {

// What the library reports of a failed attempt: the CONNACK code of the broker (1 to 5) or a code of its own, and what
// it says of it, possibly nothing.
struct ConnectFailure {
  int code = 0;
  std::string words;
};

// A new attempt: what was traced before it is no cause of its failure.
void forget_traced_causes() noexcept;
// Any thread: a line of the library's trace.
void note_traced(std::string_view line) noexcept;
// The thread that reports the failure. Uses the cause up.
[[nodiscard]] std::string failure_text(const ConnectFailure& failure, const Options& options);

}  // namespace instar::mqtt
