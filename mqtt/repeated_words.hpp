// Says the same thing once, and then at longer and longer intervals how often it was so: for a log that a person reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/time.hpp"

namespace instar::mqtt {

class RepeatedWords {
 public:
  // What to log of `words` now. `key`: of words that mean the same, although times in them differ. nullopt: nothing, it
  // was said not long ago.
  [[nodiscard]] std::optional<std::string> say(std::string_view key, const std::string& words, MonotonicMs now);
  // It is over: the same is news when it comes again.
  void forget() noexcept { key_.clear(); }

 private:
  std::string key_;
  MonotonicMs began_;
  MonotonicMs next_;
  std::int64_t interval_ms_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace instar::mqtt
