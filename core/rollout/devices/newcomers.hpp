// How many devices that have never taken part in a rollout each login has brought. Anybody who may log in can make up
// devices; a bound for each login keeps room for the fleet.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "core/base/limits.hpp"
#include "core/base/result.hpp"

namespace instar::rollout {

class Newcomers {
 public:
  void bound(std::size_t login_max) noexcept { login_max_ = login_max; }
  // Whether `login` may bring one more. Errors: unavailable.
  [[nodiscard]] Status check(const std::string& login) const;
  void add(const std::string& login);
  // It has taken part, or is forgotten.
  void remove(const std::string& login);
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t count(const std::string& login) const noexcept;
  void assert_invariants() const;

 private:
  std::size_t login_max_ = limits::kUnknownDevicesPerLoginMax;
  std::map<std::string, std::size_t> by_login_;  // none is 0
  std::size_t count_ = 0;
};

}  // namespace instar::rollout
