#include "broker-plugin/commits.hpp"

#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

constexpr std::int64_t kRetryEveryMs = 5'000;

}  // namespace

Commits::Commits(storage::Store& store, const Log& log)
    : store_(store), log_(log), self_(std::make_shared<Commits*>(this)) {}

void Commits::when_durable(storage::Batch batch, std::function<void()> act, std::function<void(const Error&)> lost) {
  if (is_down_) {
    if (lost) lost(why_down());
    return;
  }
  if (batch.empty() && store_.pending_commits() == 0) {
    if (act) act();
    return;
  }
  write(std::move(batch), std::move(act), std::move(lost));
}

void Commits::write(storage::Batch batch, std::function<void()> act, std::function<void(const Error&)> lost) {
  const auto then = [act = std::move(act), lost = std::move(lost), self = std::weak_ptr(self_)](Status status) {
    const auto commits = self.lock();
    if (commits == nullptr) return;
    if (status.has_value()) {
      if (act) act();
      return;
    }
    (*commits)->failed(status.error());
    if (lost) lost((*commits)->why_down());
  };
  store_.commit(std::move(batch), then);
}

bool Commits::is_behind() const noexcept {
  return is_down_ || store_.pending_commits() >= limits::kStoreQueueMax;
}

void Commits::failed(const Error& error) {
  if (is_down_) return;
  is_down_ = true;
  failure_ = error;
  tried_.reset();
  log_.write(LogLevel::error,
             "the store refused a write (" + error.message + "); nothing is taken in until it works again");
}

Error Commits::why_down() const {
  if (failure_.code == Code::no_space)
    return {Code::no_space, "no space left on the broker's disk: make room there, and run the same command again (" +
                                failure_.message + ")"};
  return {Code::unavailable, "the broker's store does not work (" + failure_.message + "); it is opened again soon"};
}

bool Commits::may_retry(MonotonicMs now) const noexcept {
  if (!is_down_ || store_.pending_commits() > 0) return false;
  return !tried_.has_value() || now - *tried_ >= kRetryEveryMs;
}

Status Commits::reopen(MonotonicMs now) {
  INSTAR_ASSERT(may_retry(now));
  tried_ = now;
  const auto status = store_.reopen();
  if (!status.has_value()) failure_ = status.error();
  return status;
}

void Commits::works_again() {
  INSTAR_ASSERT(is_down_);
  is_down_ = false;
  tried_.reset();
}

void Commits::assert_invariants() const {
  INSTAR_ASSERT(is_down_ || !tried_.has_value());
}

}  // namespace instar::broker
