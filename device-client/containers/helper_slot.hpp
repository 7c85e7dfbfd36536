// The one helper that works for the job under way: one program at a time. A job that is replaced disowns its helper,
// which finishes what it began while nobody asks for its answer.
#pragma once

#include <optional>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "device-client/process/helper_process.hpp"

namespace instar::device {

class HelperSlot {
 public:
  // Only while none runs. Errors as HelperProcess::spawn.
  [[nodiscard]] Status start(const HelperCommand& command, MonotonicMs now);
  // The answer of the helper that runs, if one does, is dropped.
  void disown() noexcept { disowned_ = process_.has_value(); }
  // The helper that has just ended, unless it was disowned. Afterwards is_busy() says whether one still runs.
  [[nodiscard]] std::optional<HelperProcess> poll(MonotonicMs now);

  [[nodiscard]] bool is_busy() const noexcept { return process_.has_value(); }
  // A helper runs whose answer is wanted.
  [[nodiscard]] bool is_awaited() const noexcept { return is_busy() && !disowned_; }
  // -1: nothing to wait for but the deadline.
  [[nodiscard]] int fd() const noexcept { return process_ ? process_->fd() : -1; }
  [[nodiscard]] std::optional<MonotonicMs> next_deadline(MonotonicMs now) const;

  // Only a helper that runs can be disowned.
  void assert_invariants() const;

 private:
  std::optional<HelperProcess> process_;
  bool disowned_ = false;
};

}  // namespace instar::device
