// Root documents at the broker: the one in force, and the chain of those before it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/time.hpp"
#include "publisher/broker/session.hpp"
#include "publisher/release/keyring.hpp"

namespace instar::publisher {

// What the broker says of its root documents.
struct RootState {
  std::uint64_t version = 0;
  WallMs expires;                                             // 0 = never
  std::vector<std::pair<std::uint64_t, std::uint64_t>> kept;  // versions, from … to
  std::uint64_t devices_ahead = 0;                            // devices that hold a later one: the broker was restored
  std::uint64_t newest_ahead = 0;

  [[nodiscard]] bool keeps(std::uint64_t asked) const noexcept;
};
[[nodiscard]] RootState read_root_state(const Json& answer);
[[nodiscard]] Outcome<RootState> ask_roots(Session& session);
// What an operator should know of that, a line each; empty: nothing.
[[nodiscard]] std::string root_warnings(const RootState& state, WallMs now);

struct RootOutcome {
  bool published = false;
  std::uint64_t version_before = 0;  // the broker's
  std::uint64_t version_now = 0;
  std::uint64_t kept = 0;  // the version that was older, and that the broker lacked; 0: none
};
// Gives the root document to the broker, and before it those of `chain` (ascending) that the broker lacks between, and
// waits until the broker has taken them. One that is older than the broker's it keeps for devices that were away, when
// it leads to what it has. Errors: refused (by the broker).
[[nodiscard]] Outcome<RootOutcome> bring_root(Session& session, const trust::TrustStore& root,
                                              const std::vector<Bytes>& chain);
// The versions before `newest` that the broker keeps, as far as they come within a few seconds.
[[nodiscard]] Outcome<std::vector<Bytes>> fetch_roots(Session& session, std::uint32_t newest);

}  // namespace instar::publisher
