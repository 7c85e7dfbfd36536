#include "publisher/broker/wait_notice.hpp"

#include <algorithm>

#include "publisher/console/table.hpp"

namespace instar::publisher {
namespace {

constexpr std::int64_t kSilenceMs = 3'000;

}  // namespace

void WaitNotice::waiting(const std::string& what, MonotonicMs now) {
  if (!since_ || what != what_) {
    // What came before was waited for in vain, so that its time counts on.
    if (!since_) since_ = now;
    what_ = what;
    next_after_ms_ = std::max(kSilenceMs, now - *since_ + kSilenceMs);
  }
  const auto waited = now - *since_;
  if (waited < next_after_ms_) return;
  next_after_ms_ = 2 * std::max(waited, kSilenceMs);
  note("waiting for " + what_ + ", for " + std::to_string(waited / 1'000) + " s already");
}

void WaitNotice::note(const std::string& text) const {
  if (out_ != nullptr) *out_ << "instar: " << printable(text) << "\n" << std::flush;
}

}  // namespace instar::publisher
