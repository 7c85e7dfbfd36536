#include "core/revision/root_chain.hpp"

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::revision {

bool RootChain::offer(ByteView offered, std::uint32_t held, MonotonicMs now) {
  const auto version = trust::claimed_version(offered);
  if (!version || *version <= held || offered.size() > limits::kMessageBytesMax) return false;
  offered_ = to_bytes(offered);
  offered_version_ = *version;
  if (wanted_ != held + 1) go_on(held, now);
  return true;
}

void RootChain::go_on(std::uint32_t held, MonotonicMs now) noexcept {
  wanted_ = held + 1;
  asked_ = now;
  is_late_ = false;
}

void RootChain::close() noexcept {
  offered_.clear();
  offered_version_ = 0;
  wanted_.reset();
  asked_.reset();
  is_late_ = false;
}

void RootChain::connected(MonotonicMs now) noexcept {
  if (wanted_) asked_ = now;
}

bool RootChain::is_missed(MonotonicMs now) noexcept {
  if (is_late_ || !asked_ || now - *asked_ < limits::kRootChainWaitMs) return false;
  is_late_ = true;
  return true;
}

std::string RootChain::trouble() const {
  if (!is_late_) return {};
  const auto wanted = std::to_string(*wanted_);
  return "the broker offers root document " + std::to_string(offered_version_) + ", this device holds " +
         std::to_string(*wanted_ - 1) + ", and version " + wanted +
         " does not come: give it to the broker (instar root publish root-" + wanted +
         ".instar), and let devices read its topic";
}

std::optional<MonotonicMs> RootChain::next_deadline() const {
  if (is_late_ || !asked_) return std::nullopt;
  return *asked_ + limits::kRootChainWaitMs;
}

std::optional<std::string> RootChain::expiry_to_say(const trust::RootDocument& root, WallMs wall) {
  if (expiry_said_ == root.version) return std::nullopt;
  auto warning = trust::expiry_warning(root, wall);
  if (warning) expiry_said_ = root.version;
  return warning;
}

void RootChain::assert_invariants() const {
  INSTAR_ASSERT(wanted_.has_value() == !offered_.empty());
  INSTAR_ASSERT(!wanted_ || *wanted_ <= offered_version_);
  INSTAR_ASSERT(wanted_ || (!asked_ && !is_late_));
}

}  // namespace instar::revision
