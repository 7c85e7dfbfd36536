#include "core/revision/name_clash.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

constexpr std::int64_t kClashMemoryMs = 3'600'000;

}  // namespace

NameClash::Told NameClash::told(const wire::Ack& ack, std::uint32_t boot, std::uint64_t instance, MonotonicMs now) {
  if (ack.boot < boot || (instance != 0 && ack.instance == instance)) return Told::nothing;
  if (ack.boot - boot > limits::kBootJumpMax || ack.boot == UINT32_MAX) {
    far_ = ack.boot;
    far_at_ = now;
    return Told::too_far;
  }
  far_ = 0;
  went_on_.push_back(now);
  if (went_on_.size() > limits::kClashesMax) went_on_.pop_front();
  return Told::go_on;
}

bool NameClash::taken(MonotonicMs hello_at) noexcept {
  return hello_at > far_at_ && std::exchange(far_, 0) != 0;
}

std::optional<MonotonicMs> NameClash::next_deadline(MonotonicMs now) const {
  if (went_on_.size() < limits::kClashesMax || now - went_on_.front() >= kClashMemoryMs) return std::nullopt;
  return went_on_.front() + kClashMemoryMs;
}

std::string NameClash::trouble(MonotonicMs now) const {
  if (far_ != 0) {
    return "the broker does not take this device's hellos: it knows start " + std::to_string(far_) +
           " of it, which is too far from its own; an operator has to replace it (instar devices replace)";
  }
  const auto recent = std::ranges::count_if(went_on_, [&](MonotonicMs at) { return now - at < kClashMemoryMs; });
  if (static_cast<std::size_t>(recent) < limits::kClashesMax) return {};
  return "another device speaks under this name with the same key (a cloned disk?): give one of them a name and a key "
         "of its own";
}

void NameClash::assert_invariants() const {
  INSTAR_ASSERT(went_on_.size() <= limits::kClashesMax);
  INSTAR_ASSERT(std::ranges::is_sorted(went_on_));
}

}  // namespace instar::revision
