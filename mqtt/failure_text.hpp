// Why an attempt to connect failed, as a text that does not depend on the adapter.
//
// Paho reports "TCP/TLS connect failure" for a wrong name, an unknown CA and a closed port. Only its trace, which has
// each step of a handshake, says which it was. The adapters pass those lines on here. The cause that is found in them
// is kept for the thread that traced it, because the same thread then reports the failure.
#pragma once

#include <string>
#include <string_view>

#include "mqtt/client.hpp"

namespace instar::mqtt {

// What the library reports about a failed attempt: the CONNACK code of the broker (1 to 5) or a code of its own, and
// its text, which may be empty.
struct ConnectFailure {
  int code = 0;
  std::string words;
};

// Begins a new attempt: what was traced before does not explain its failure.
void forget_traced_causes() noexcept;
// Takes a line of the library's trace. May be called by any thread.
void note_traced(std::string_view line) noexcept;
// To be called by the thread that reports the failure. Removes the cause.
[[nodiscard]] std::string failure_text(const ConnectFailure& failure, const Options& options);
// The code of CONNACK, 1 to 5, that such a text is of. 0: it is of something else.
[[nodiscard]] int connack_code_of(std::string_view text) noexcept;

}  // namespace instar::mqtt
