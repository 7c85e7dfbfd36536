#include <utility>

#include "publisher/broker/session.hpp"
#include "publisher/commands/commands.hpp"

namespace instar::publisher {

Work TerminalWork::work() {
  return {
      .progress = [this](const std::string& what, std::uint64_t done, std::uint64_t all) { update(what, done, all); },
      .stopped = interrupted};
}

void TerminalWork::update(const std::string& what, std::uint64_t done, std::uint64_t all) {
  const auto now = monotonic_now();
  if (what != stage_) {
    progress_.reset();
    progress_.emplace(console_.err, console_.err_is_terminal, what, now);
    stage_ = what;
  }
  if (progress_) progress_->update(done, all, now);
}

Failure failure_of(Error error) {
  if (error.code == Code::unavailable && interrupted()) return {Exit::interrupted, std::move(error)};
  return {std::move(error)};
}

}  // namespace instar::publisher
