// Reads what the broker's JSON says of rollouts (docs/formats/status.md, control.md) and shows it to people.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "publisher/console/console.hpp"
#include "publisher/console/failure.hpp"

namespace instar::publisher {

inline constexpr std::array<std::string_view, 8> kSteps{"waiting",   "fetching",    "staging", "trying",
                                                        "committed", "rolled_back", "refused", "failed"};

struct RolloutStatus {
  struct Reason {
    std::string code;
    std::string text;
    std::uint64_t count = 0;
  };
  std::string rollout;
  std::string product;
  std::string release;
  std::uint64_t sequence = 0;
  std::vector<std::string> groups;
  std::string state;
  std::string outcome;        // what came of it; empty: it goes on
  std::string superseded_by;  // the rollout that has taken over; empty: none
  std::string content;        // the same for two releases: devices come to run the same by them
  std::uint64_t devices = 0;
  std::array<std::uint64_t, kSteps.size()> counts{};
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_full = 0;
  WallMs started;
  WallMs updated;
  std::vector<Reason> reasons;

  struct Wave {
    std::uint64_t admitted = 0;
    std::uint64_t silent = 0;
    std::uint64_t waiting = 0;
    std::uint64_t in_flight = 0;
    std::uint64_t committed = 0;
    std::uint64_t failed = 0;
    std::uint64_t retrying = 0;
    std::uint64_t refused = 0;
    std::uint64_t late = 0;  // came when the rollout had begun, and move nothing
    bool opened = false;
    bool needs_approval = false;
    bool approved = false;
  };
  std::vector<Wave> waves;
  std::uint64_t wave = 1;  // the first is 1
  std::string cause;
  std::string waits_for;
  std::uint64_t asking = 0;
  std::uint64_t retrying = 0;
  std::uint64_t bytes_budget = 0;
  std::uint64_t devices_ahead = 0;  // of its groups, that have obeyed as high a sequence already
  std::uint64_t sequence_ahead = 0;

  [[nodiscard]] std::uint64_t count(std::string_view step) const noexcept;
  [[nodiscard]] std::uint64_t finished() const noexcept;  // committed, rolled back, refused, failed
  [[nodiscard]] std::uint64_t unsuccessful() const noexcept;
  [[nodiscard]] bool is_over() const noexcept;  // complete, superseded, aborted, reverted or refused
};

[[nodiscard]] RolloutStatus read_status(const Json& json);
// The exit code of a command for a rollout that is over: ok (complete, and everyone has it), rollout_failed, or
// refused.
[[nodiscard]] Exit exit_of(const RolloutStatus& status) noexcept;

[[nodiscard]] std::string rollouts_text(const std::vector<RolloutStatus>& rollouts, WallMs now);
// What is going on, why nothing moves, and what to type next.
[[nodiscard]] std::string rollout_text(const RolloutStatus& status, WallMs now);
// Commands that would let a rollout go on that has stopped, or that come after one that has ended otherwise than it
// should. Empty: none is needed.
[[nodiscard]] std::vector<std::string> next_commands(const RolloutStatus& status);
[[nodiscard]] std::string events_text(const Json& events, WallMs now);
[[nodiscard]] std::string groups_text(const Json& rows);
// One line for a log.
[[nodiscard]] std::string rollout_line(const RolloutStatus& status);

// Rows of getRollout with "devices".
[[nodiscard]] std::string members_text(const Json& rows, WallMs now);
// "unhealthy: probe exited 1" from the `code` and `reason` of a row.
[[nodiscard]] std::string code_text(const Json& row);

struct PickedRollout {
  RolloutStatus status;
  std::string note;  // that the name may mean others too; empty: it means this one alone
};
// The rollout that `name` stands for: its id, a release (of a product: PRODUCT/RELEASE) or the beginning of the id. Of
// several of one release of one product it is the newest. `rollouts`: newest first. Errors: not_found, invalid_argument
// (several products have that release, or several ids begin so).
[[nodiscard]] Outcome<PickedRollout> pick_rollout(const std::vector<RolloutStatus>& rollouts, const std::string& name);

}  // namespace instar::publisher
