// The switch to a staged revision, its commit, and every way back: for each event, which parts are asked, in which
// order. Knows nothing of fetching.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/error.hpp"
#include "core/revision/events.hpp"
#include "core/revision/parts.hpp"

namespace instar::revision {

// Has no state of its own.
class Trying {
 public:
  explicit Trying(Parts& parts) noexcept : parts_(parts) {}

  // What is staged is started, if nothing stands in the way of that now.
  void try_if_allowed();
  // After a restart while a candidate was on trial: started again, or rolled back when that has happened too often.
  void try_again();
  // Starts what was before (again), after a restart, too.
  void switch_back();
  // Makes sure that the containers of the current revision run, unless a switch is under way.
  void ensure_running();

  void on(const TryStarted& event);
  void on(const TryFailed& event);
  void on(const ContainerStopped& event);
  void on(const ProbeEnded& event);
  void on(const SwitchBackFailed& event);
  // True: the revision before runs again, and the attempt is over.
  [[nodiscard]] bool finish(const SwitchedBack& event);
  // Time has passed: what is due of the upkeep and of the way back.
  void tick();
  // Asks the judge; commits or rolls back when there is a verdict.
  void judge();
  // The rollout of what runs was taken back, and its manifest allows that: to the revision before it, unless that has
  // failed here.
  void go_back_if_reverted();

 private:
  void start();
  void commit();
  void roll_back(Trigger trigger, Code code, const std::string& reason);
  // From the committed revision to that one; the caller has seen that this may be run.
  void go_back(Release before, std::uint32_t retry_epoch, Trigger trigger, Code code, const std::string& reason);
  // True if the committed release was given up for the one before.
  [[nodiscard]] bool fall_back();
  // The revision to go back to cannot be started: to the factory revision, if there is one.
  [[nodiscard]] bool fall_to_factory(const Error& error);

  Parts& parts_;
};

}  // namespace instar::revision
