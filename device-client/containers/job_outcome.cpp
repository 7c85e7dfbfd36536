#include "device-client/containers/job_outcome.hpp"

#include <utility>

#include "core/base/assert.hpp"

namespace instar::device {

void JobOutcome::give_up(Error error) {
  given_up_ = true;
  note(std::move(error));
}

void JobOutcome::container_failed(const std::string& container, Error error) {
  failed_ = container;
  given_up_ = given_up_ || goal_ == JobGoal::try_new;
  note(std::move(error));
}

void JobOutcome::payload_failed(const std::string& payload, Error error) {
  if (failed_.empty()) failed_ = payload;
  given_up_ = given_up_ || goal_ == JobGoal::try_new;
  note(std::move(error));
}

void JobOutcome::remark(std::string text) {
  if (remark_.empty()) remark_ = std::move(text);
}

void JobOutcome::note(Error error) {
  if (!error_) error_ = std::move(error);
}

std::optional<revision::Event> JobOutcome::event(std::uint32_t downtime_ms) const {
  switch (goal_) {
    case JobGoal::try_new:
      if (error_) return revision::TryFailed{revision_, *error_};
      return revision::TryStarted{revision_, downtime_ms, remark_};
    case JobGoal::back:
      if (error_) return revision::SwitchBackFailed{*error_};
      return revision::SwitchedBack{revision_, downtime_ms};
    case JobGoal::ensure: break;
  }
  if (error_) return revision::ContainerStopped{revision_, failed_, error_->message};
  return std::nullopt;
}

void JobOutcome::assert_invariants() const {
  INSTAR_ASSERT(error_ || (!given_up_ && failed_.empty()));
}

}  // namespace instar::device
