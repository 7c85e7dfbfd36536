// What is refused of strangers and broken devices: all of it is counted, a few lines a second are logged.
#pragma once

#include <cstdint>
#include <string>

#include "broker-plugin/log.hpp"
#include "core/base/error.hpp"
#include "core/base/time.hpp"

namespace instar::broker {

class Complaints {
 public:
  explicit Complaints(const Log& log) : log_(log) {}

  // `where`: what was refused, as in "a message on instar/v1/root".
  void add(const std::string& where, const Error& error, MonotonicMs now);
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  void assert_invariants() const;

 private:
  const Log& log_;
  MonotonicMs second_{-1'000};  // when the second began that the next two count
  int written_ = 0;
  std::uint64_t suppressed_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace instar::broker
