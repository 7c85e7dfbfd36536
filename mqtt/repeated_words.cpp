#include "mqtt/repeated_words.hpp"

#include <algorithm>

namespace instar::mqtt {
namespace {

constexpr std::int64_t kFirstIntervalMs = 10 * 60'000;
constexpr std::int64_t kLongestIntervalMs = 24 * 3'600'000;

}  // namespace

std::optional<std::string> RepeatedWords::say(std::string_view key, const std::string& words, MonotonicMs now) {
  if (key != key_) {
    key_ = key;
    count_ = 1;
    began_ = now;
    interval_ms_ = kFirstIntervalMs;
    next_ = now + interval_ms_;
    return words;
  }
  ++count_;
  if (now < next_) return std::nullopt;
  interval_ms_ = std::min(interval_ms_ * 4, kLongestIntervalMs);
  next_ = now + interval_ms_;
  return "still: " + words + " (" + std::to_string(count_) + " times in " + span_text(now - began_) + ")";
}

}  // namespace instar::mqtt
