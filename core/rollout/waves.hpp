// When a wave has proved itself. Pure arithmetic over counts; the tracker keeps the counts and opens the waves.
// docs/rollouts.md
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/rollout/record.hpp"
#include "core/wire/manifest.hpp"

namespace instar::rollout {

// The members of one wave: those that it is the first to admit.
struct WaveCounts {
  std::uint64_t admitted = 0;
  std::uint64_t committed = 0;
  std::uint64_t failed = 0;
  std::uint64_t left_out = 0;  // refused it, or were stopped: say nothing about the release
  std::uint64_t retrying = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t waiting = 0;
  std::uint64_t unseen = 0;  // of those that have not ended: not heard of since the current wave opened
  friend bool operator==(const WaveCounts&, const WaveCounts&) = default;
  WaveCounts& operator+=(const WaveCounts& other) noexcept;
  [[nodiscard]] std::uint64_t seen() const noexcept { return admitted - unseen; }
};

enum class Wait : std::uint8_t {
  devices,   // no device of these groups is known yet
  quorum,    // too few of the admitted have been seen
  success,   // too few have committed so far
  stuck,     // all have ended, too few have committed
  soak,      // the conditions hold, but not for long enough
  approval,  // an operator has to say yes
  nothing,   // the next wave can open
};

// What the current wave waits for.
struct Judgement {
  Wait wait = Wait::devices;
  bool holds = false;        // quorum and success: the soak runs
  WaveCounts sums;           // of waves 0 … current
  bool silent_over = false;  // those unseen are not waited for any more
  std::uint64_t needed = 0;  // Wait::quorum: devices to be seen; success, stuck: devices to commit
  std::int64_t left_ms = 0;  // Wait::soak
};

// Durations, each on whatever clock the caller trusts.
struct WaveTimes {
  std::int64_t open_ms = 0;     // since the current wave was opened
  std::int64_t settled_ms = 0;  // since its conditions hold; counts only while they do
};

// `waves`: counts of waves 0 … current, where devices that a wave names and nobody has heard of are admitted and
// unseen.
[[nodiscard]] Judgement judge_wave(const wire::Policy& policy, const RolloutRecord& record,
                                   std::span<const WaveCounts> waves, std::uint64_t known_devices, WaveTimes times);
// For people: "8 of 10 devices have committed, 10 are needed".
[[nodiscard]] std::string waits_for(const wire::Policy& policy, const RolloutRecord& record,
                                    const Judgement& judgement);

// The error budget is spent by `failures` of `seen` devices that were admitted and heard of.
[[nodiscard]] bool is_budget_spent(const wire::Policy& policy, std::uint64_t failures, std::uint64_t seen) noexcept;

}  // namespace instar::rollout
