// The phase that the device is in, moved by the table of transitions alone. Pure.
#pragma once

#include "core/base/assert.hpp"
#include "core/revision/device_state.hpp"
#include "core/revision/transitions.hpp"

namespace instar::revision {

class Course {
 public:
  explicit Course(Phase phase) noexcept : phase_(phase) {}

  [[nodiscard]] Phase phase() const noexcept { return phase_; }
  [[nodiscard]] bool is(Phase phase) const noexcept { return phase_ == phase; }
  // Chunks are fetched, or what they make is being verified.
  [[nodiscard]] bool is_acquiring() const noexcept { return is(Phase::fetching) || is(Phase::staging); }
  // From `trying` on, the candidate is not given up for another release.
  [[nodiscard]] bool is_switching() const noexcept {
    return is(Phase::trying) || is(Phase::committing) || is(Phase::rolling_back);
  }
  // Only where the table has it. Must be persisted.
  void enter(Trigger trigger) {
    const auto next = next_phase(phase_, trigger);
    INSTAR_ASSERT(next.has_value());
    phase_ = *next;
  }

 private:
  Phase phase_;
};

}  // namespace instar::revision
