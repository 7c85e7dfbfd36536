// For a device whose state cannot be written because there is no room for it, not even with the reserve: what is
// committed runs, and nothing is decided, until it can be. The daemon takes over then.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "device-client/containers/container_config.hpp"
#include "device-client/process/config.hpp"
#include "device-client/process/container_pause.hpp"
#include "device-client/process/log.hpp"
#include "device-client/watchdog.hpp"

namespace instar::device {

struct Care {
  const Config& config;  // its state_dir is prepared, and the caller holds its lock
  const HostFacts& host;
  const std::string& helper;
  const Log& log;
  const Watchdog::Options& watched;
  ContainerPause& pause;
};

// Starts what the state file says is committed, starts it again when it stops, and feeds the watchdog. Now and then it
// asks `has_room`. Returns true when that says yes; false when `stop_fd` becomes readable. Containers run on.
[[nodiscard]] bool take_care(const Care& care, int stop_fd, const std::function<bool()>& has_room);

}  // namespace instar::device
