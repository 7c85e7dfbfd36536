// The probes that run now: one program each, side by side with whatever else is under way. Each ends in one
// ProbeEnded: by its answer, by its end, or because its time is over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/time.hpp"
#include "core/revision/effects.hpp"
#include "core/revision/events.hpp"
#include "device-client/process/helper_process.hpp"

namespace instar::device {

class Probes {
 public:
  // Who runs the probe's command: instar-lxc in the container, which prints JSON, or the payload's handler.
  enum class Runner : std::uint8_t { lxc_helper, handler };
  // A command that cannot be run is a probe that has failed.
  void start(const revision::RunProbe& probe, const HelperCommand& command, Runner runner, MonotonicMs now);
  // Appends a ProbeEnded for each probe that has ended since the last call.
  void poll(MonotonicMs now, std::vector<revision::Event>& out);

  [[nodiscard]] std::vector<int> fds() const;
  [[nodiscard]] std::optional<MonotonicMs> next_deadline(MonotonicMs now) const;

 private:
  struct Probe {
    std::uint32_t revision = 0;
    std::string container;
    std::uint32_t timeout_ms = 0;
    Runner runner = Runner::lxc_helper;
    HelperProcess process;
  };
  static void read_answer(const Probe& probe, revision::ProbeEnded& ended);

  std::vector<Probe> running_;
  std::vector<revision::ProbeEnded> not_started_;  // to be reported by the next poll()
};

}  // namespace instar::device
