#include "core/rollout/devices/newcomers.hpp"

#include "core/base/assert.hpp"

namespace instar::rollout {

Status Newcomers::check(const std::string& login) const {
  const auto brought = count(login);
  if (brought < login_max_) return {};
  return fail(Code::unavailable,
              "login '" + login + "' has brought " + std::to_string(brought) +
                  " devices that have never taken part in a rollout, and no more are taken of it: forget those that "
                  "are not yours (instar devices list --unknown), or raise plugin_opt_unknown_devices_max_per_login");
}

void Newcomers::add(const std::string& login) {
  ++by_login_[login];
  ++count_;
}

void Newcomers::remove(const std::string& login) {
  const auto found = by_login_.find(login);
  INSTAR_ASSERT(found != by_login_.end());
  --count_;
  if (--found->second == 0) by_login_.erase(found);
}

std::size_t Newcomers::count(const std::string& login) const noexcept {
  const auto found = by_login_.find(login);
  return found == by_login_.end() ? 0 : found->second;
}

// Not each against login_max_: it may have been lowered since they came.
void Newcomers::assert_invariants() const {
  std::size_t sum = 0;
  for (const auto& [login, count] : by_login_) {
    INSTAR_ASSERT(count > 0);
    sum += count;
  }
  INSTAR_ASSERT(sum == count_);
}

}  // namespace instar::rollout
