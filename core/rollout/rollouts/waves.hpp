// When a wave has proved itself. Pure arithmetic over counts: keeping them and opening waves is for others.
// docs/rollouts.md
#pragma once

#include <cstdint>
#include <string>

#include "core/rollout/exchange/fleet.hpp"
#include "core/wire/manifest.hpp"

namespace instar::rollout {

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
  std::uint64_t begun = 0;   // of a wave by count: those that have their place in it
  std::uint64_t late = 0;    // Wait::success: latecomers that are waited for too
  std::int64_t left_ms = 0;  // Wait::soak
};

// Durations, each on whatever clock the caller trusts.
struct WaveTimes {
  std::int64_t open_ms = 0;     // since the current wave was opened
  std::int64_t settled_ms = 0;  // since its conditions hold; counts only while they do
};

// A device that a wave names and nobody knows is waited for like any other that is silent.
[[nodiscard]] Judgement judge_wave(const wire::Policy& policy, const RolloutRecord& record, const Tally& tally,
                                   WaveTimes times);
// For people: "8 of 10 devices have committed, 10 are needed (success 100 %); 2 failed for good".
[[nodiscard]] std::string commits_text(const wire::Policy& policy, const RolloutRecord& record,
                                       const Judgement& judgement);
// The same of whatever it waits for, after "waits for": "more commits: 8 of 10 devices have committed, 10 are needed".
[[nodiscard]] std::string waits_for(const wire::Policy& policy, const RolloutRecord& record,
                                    const Judgement& judgement);

}  // namespace instar::rollout
