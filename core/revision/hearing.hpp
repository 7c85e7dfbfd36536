// What the device has heard from its broker, and when: told to people, and obeyed by nobody. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/time.hpp"
#include "core/revision/device_state.hpp"

namespace instar::revision {

class Hearing {
 public:
  // `days`: of silence that are worth a warning; 0: none are.
  Hearing(HearingState state, std::uint32_t days) noexcept : state_(state), days_(days) {}

  // The process starts.
  void begin(Now now) noexcept { since_ = now.monotonic; }
  // A gate whose signature holds; an ack of what this device has said. True: it is to be persisted.
  [[nodiscard]] bool heard_gate(WallMs fresh, Now now) noexcept;
  [[nodiscard]] bool heard_ack(Now now) noexcept;

  // A warning, once for each silence. Where nothing is on its way to the fleet a broker has nothing to say: silence on
  // a link that is up counts only once it has sent a gate.
  [[nodiscard]] std::optional<std::string> complain(bool connected, Now now);
  // When complain() has something to say at the earliest, while that link stays as it is.
  [[nodiscard]] std::optional<MonotonicMs> next_deadline(bool connected) const noexcept;

  [[nodiscard]] const HearingState& state() const noexcept { return state_; }

 private:
  [[nodiscard]] bool has_nothing_to_say(bool connected) const noexcept;
  [[nodiscard]] std::int64_t silent_ms(Now now) const noexcept;
  [[nodiscard]] bool heard(Now now) noexcept;

  HearingState state_;
  std::uint32_t days_;
  MonotonicMs since_;      // the last word in this process, or its start
  bool is_heard_ = false;  // in this process
  bool is_told_ = false;   // of the present silence
};

// Whole days that `state` has been silent for by a wall clock; 0 if it was set back meanwhile, or nothing was ever
// heard.
[[nodiscard]] std::int64_t silent_days(const HearingState& state, WallMs wall) noexcept;

}  // namespace instar::revision
