// What is refused of strangers and broken devices, and what devices do that an operator should hear of: all of it is
// counted, a line a minute for each client is logged, and no more than some in all.
#pragma once

#include <cstdint>
#include <string>

#include "broker-plugin/line_limit.hpp"
#include "broker-plugin/log.hpp"
#include "broker-plugin/sender.hpp"
#include "core/base/error.hpp"
#include "core/base/ids.hpp"
#include "core/base/time.hpp"

namespace instar::broker {

class Complaints {
 public:
  explicit Complaints(const Log& log) : log_(log) {}

  // `where`: what was refused, as in "a message on instar/v1/root". The line names the sender: client, user, address.
  void add(const Sender& sender, const std::string& where, const Error& error, MonotonicMs now);
  // A line about one device.
  void note(const DeviceId& device, LogLevel level, const std::string& text, MonotonicMs now);
  // Says how many lines were left out, when it is time to. Often, and O(1).
  void tick(MonotonicMs now);
  // Messages refused.
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  void assert_invariants() const;

 private:
  const Log& log_;
  LineLimit refusals_;
  LineLimit notes_;
  std::uint64_t count_ = 0;
};

}  // namespace instar::broker
