#include "broker-plugin/complaints.hpp"

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {

void Complaints::add(const std::string& where, const Error& error, MonotonicMs now) {
  ++count_;
  if (now - second_ >= 1'000) {
    if (suppressed_ > 0) {
      log_.write(LogLevel::warning,
                 std::to_string(suppressed_) + " more messages were refused and not logged one by one");
    }
    second_ = now;
    written_ = 0;
    suppressed_ = 0;
  }
  if (written_ >= limits::kComplaintsPerSecondMax) {
    ++suppressed_;
    return;
  }
  ++written_;
  log_.write(LogLevel::warning, "refused " + where + ": " + std::string(code_name(error.code)) + ": " + error.message);
}

void Complaints::assert_invariants() const {
  INSTAR_ASSERT(written_ <= limits::kComplaintsPerSecondMax);
  INSTAR_ASSERT(suppressed_ + static_cast<std::uint64_t>(written_) <= count_);
  INSTAR_ASSERT(suppressed_ == 0 || written_ == limits::kComplaintsPerSecondMax);
}

}  // namespace instar::broker
