// What strangers and broken devices cause to be logged: counted always, written a few times a second.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "core/base/error.hpp"
#include "core/base/log_level.hpp"
#include "core/base/time.hpp"

namespace instar::broker {

class Complaints {
 public:
  using Log = std::function<void(LogLevel level, const std::string&)>;
  explicit Complaints(Log log) : log_(std::move(log)) {}

  void add(const std::string& where, const Error& error, MonotonicMs now) {
    ++count_;
    if (now - second_ >= 1'000) {
      if (suppressed_ > 0)
        log_(LogLevel::warning, std::to_string(suppressed_) + " more messages were refused and not logged one by one");
      second_ = now;
      written_ = 0;
      suppressed_ = 0;
    }
    if (written_ >= kLinesPerSecondMax) {
      ++suppressed_;
      return;
    }
    ++written_;
    log_(LogLevel::warning, "refused " + where + ": " + std::string(code_name(error.code)) + ": " + error.message);
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

 private:
  static constexpr int kLinesPerSecondMax = 10;
  Log log_;
  MonotonicMs second_{-1'000};
  int written_ = 0;
  std::uint64_t suppressed_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace instar::broker
