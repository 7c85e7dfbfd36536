// What the service does by the clock, and when it is due. Each question starts the next interval when it is answered
// with yes.
#pragma once

#include <cstddef>

#include "core/base/time.hpp"

namespace instar::broker {

class Chores {
 public:
  // Gates are fresh as of now, and the root document's expiry has been looked at.
  void started(MonotonicMs now) noexcept { gates_refreshed_ = expiry_checked_ = now; }
  // Soaks, silence and turns are to be looked at. `is_urgent`: do not wait for the second.
  [[nodiscard]] bool tick_is_due(MonotonicMs now, bool is_urgent) noexcept;
  // Of how many devices the counted bytes are to be saved now, of `unsaved` that wait; 0: it is not time.
  [[nodiscard]] std::size_t saves_due(MonotonicMs now, std::size_t unsaved) noexcept;
  void all_saved() noexcept { devices_a_save_ = 0; }
  [[nodiscard]] bool session_check_is_due(MonotonicMs now) noexcept;
  [[nodiscard]] bool gate_refresh_is_due(MonotonicMs now) noexcept;
  // Once a day.
  [[nodiscard]] bool expiry_check_is_due(MonotonicMs now) noexcept;
  // The next devices are to be looked at for those that never took part and have been silent for long.
  [[nodiscard]] bool silence_check_is_due(MonotonicMs now) noexcept;

  void assert_invariants(MonotonicMs now) const;

 private:
  MonotonicMs ticked_;
  MonotonicMs saved_;
  MonotonicMs sessions_checked_;
  MonotonicMs gates_refreshed_;
  MonotonicMs expiry_checked_;
  MonotonicMs silence_checked_;
  std::size_t devices_a_save_ = 0;  // grows while devices wait, so that a round ends
};

}  // namespace instar::broker
