#include "device-client/containers/helper_slot.hpp"

#include <utility>

#include "core/base/assert.hpp"

namespace instar::device {

Status HelperSlot::start(const HelperCommand& command, MonotonicMs now) {
  INSTAR_ASSERT(!process_);
  INSTAR_TRY(process_, HelperProcess::spawn(command, now));
  return {};
}

std::optional<HelperProcess> HelperSlot::poll(MonotonicMs now) {
  if (!process_ || !process_->poll(now)) return std::nullopt;
  std::optional<HelperProcess> ended = std::exchange(process_, std::nullopt);
  if (std::exchange(disowned_, false)) ended.reset();
  return ended;
}

std::optional<MonotonicMs> HelperSlot::next_deadline(MonotonicMs now) const {
  return process_ ? std::optional(process_->deadline(now)) : std::nullopt;
}

void HelperSlot::assert_invariants() const {
  INSTAR_ASSERT(!disowned_ || process_);
}

}  // namespace instar::device
