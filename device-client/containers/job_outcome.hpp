// What a job has come to so far, and the event that reports it. A try is given up at its first failure. Any other job
// does what it still can, and reports the first error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/revision/events.hpp"

namespace instar::device {

enum class JobGoal : std::uint8_t { try_new, back, ensure };

class JobOutcome {
 public:
  JobOutcome(JobGoal goal, std::uint32_t revision) : goal_(goal), revision_(revision) {}

  // Nothing more can be done.
  void give_up(Error error);
  void container_failed(const std::string& container, Error error);
  void payload_failed(const std::string& payload, Error error);

  // Something that people should know of, and no failure. The first one counts.
  void remark(std::string text);

  [[nodiscard]] bool is_given_up() const noexcept { return given_up_; }
  [[nodiscard]] bool is_good() const noexcept { return !error_; }
  [[nodiscard]] JobGoal goal() const noexcept { return goal_; }
  // The job is over. Nothing is reported of containers that run as they should.
  [[nodiscard]] std::optional<revision::Event> event(std::uint32_t downtime_ms) const;

  // What was given up has an error, and so has a job of which something failed.
  void assert_invariants() const;

 private:
  void note(Error error);

  JobGoal goal_;
  std::uint32_t revision_;
  std::optional<Error> error_;  // the first
  bool given_up_ = false;
  std::string failed_;  // container or payload
  std::string remark_;
};

}  // namespace instar::device
