// What must be stopped and started so that exactly the wanted containers run, and how far that has come. Containers
// stop in the reverse of their start order and then start in start order. A container whose fingerprint is the wanted
// one runs on, whichever revision it was started for.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "device-client/containers/container_config.hpp"
#include "device-client/containers/lxc_commands.hpp"

namespace instar::device {

class ContainerSwitch {
 public:
  // `wanted`: in start order. `restarted`: LXC names of those that are stopped and started even if they are right.
  explicit ContainerSwitch(std::vector<ContainerPlan> wanted, std::set<std::string> restarted = {})
      : wanted_(std::move(wanted)), restarted_(std::move(restarted)) {}

  // What LXC says of all of this device's containers, each with its record. Decides what is to be done.
  void take_states(const std::vector<ContainerState>& states);
  [[nodiscard]] bool has_states() const noexcept { return has_states_; }
  // Nothing is left to stop or to start.
  [[nodiscard]] bool is_done() const noexcept { return has_states_ && stops_.empty() && starts_.empty(); }

  // In the order in which they are to be stopped and started.
  [[nodiscard]] const std::vector<std::string>& stops() const noexcept { return stops_; }
  [[nodiscard]] const std::vector<ContainerPlan>& starts() const noexcept { return starts_; }

  // The helper has stopped or started the next one; anything else changes only the time. Answers what it was.
  struct Taken {
    bool stopped = false;
    std::optional<ContainerPlan> started;
  };
  [[nodiscard]] Taken take_change(const ContainerChange& change);

  struct Failure {
    Error error;
    std::string container;  // that does not start; empty: nothing more can be done
  };
  // The question for states, or the next stop or start, has failed. A container that does not start is left out; after
  // any other failure nothing is left to do.
  [[nodiscard]] Failure failed(Error error);
  // The same for one of starts() that cannot be prepared.
  [[nodiscard]] Failure start_failed(const std::string& name, Error error);

  // From the moment when the first container that ran was asked to stop to the moment when the last one was there
  // again, by the helper's clock. 0 when none was stopped.
  [[nodiscard]] std::uint32_t downtime_ms() const noexcept;

  // There is nothing to do before there are states. What starts is wanted, in start order, each once.
  void assert_invariants() const;

 private:
  std::vector<ContainerPlan> wanted_;
  std::set<std::string> restarted_;
  bool has_states_ = false;
  std::vector<std::string> stops_;
  std::vector<ContainerPlan> starts_;
  std::optional<std::int64_t> down_at_ms_;
  std::int64_t up_at_ms_ = 0;
};

}  // namespace instar::device
