// Notices when the machine is to be told of the clock: that it was set, that local time changed, that a time service
// keeps it now or does not any more. For one thread.
#pragma once

#include <optional>

#include "core/base/time.hpp"
#include "core/revision/events.hpp"

namespace instar::device {

class ClockWatch {
 public:
  ClockWatch();
  ClockWatch(const ClockWatch&) = delete;
  ClockWatch& operator=(const ClockWatch&) = delete;
  ~ClockWatch();

  // Becomes readable when the clock is set; -1: this kernel cannot tell, and it is noticed with the next call.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  // What to say, of what is so now; nullopt: nothing is new. The first call has an answer.
  [[nodiscard]] std::optional<revision::LocalTime> take_change(const revision::LocalTime& local, Now now);

 private:
  void arm() const noexcept;

  int fd_ = -1;
  std::optional<revision::LocalTime> told_;
  Now told_at_;
};

}  // namespace instar::device
