// Which containers run, as far as is known: what LXC said when it was asked, and what has changed since. Each one is
// watched, so that a container that stops by itself is found.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/time.hpp"
#include "device-client/containers/lxc_commands.hpp"
#include "device-client/process/process_watch.hpp"

namespace instar::device {

class RunningContainers {
 public:
  // LXC was asked: these are all of this device's containers.
  void take_states(const std::vector<ContainerState>& states, MonotonicMs now);
  // This client will stop it: its end is then no event.
  void will_stop(const std::string& name);
  void started(const std::string& name, std::uint32_t revision, pid_t pid, MonotonicMs now);
  void stopped(const std::string& name) { containers_.erase(name); }

  struct Ended {
    std::string name;
    std::int64_t lived_ms = 0;  // since it was first seen running
  };
  // Those that stopped by themselves since the last call.
  [[nodiscard]] std::vector<Ended> take_ended(MonotonicMs now);

  // LXC has been asked at least once.
  [[nodiscard]] bool is_known() const noexcept { return is_known_; }
  [[nodiscard]] std::set<std::string> names() const;
  // It runs, and this client is not about to stop it.
  [[nodiscard]] bool is_well(const std::string& name) const;
  // The revision whose tree it runs from; 0: it does not run, or has no record that can be read.
  [[nodiscard]] std::uint32_t revision_of(const std::string& name) const;
  // Revisions whose trees are under running containers. 0: of a container without a record that can be read.
  [[nodiscard]] std::set<std::uint32_t> revisions() const;

  // Readable when take_ended() may have news.
  [[nodiscard]] std::vector<int> fds() const;
  // For kernels on which no descriptor reports the end of a process.
  [[nodiscard]] std::optional<MonotonicMs> next_deadline(MonotonicMs now) const;

  // Nothing runs as far as is known until LXC was asked.
  void assert_invariants() const;

 private:
  struct Running {
    std::uint32_t revision = 0;
    ProcessWatch watch;
    MonotonicMs since;
    bool stopping = false;
  };
  std::map<std::string, Running> containers_;  // by LXC name
  bool is_known_ = false;
};

}  // namespace instar::device
