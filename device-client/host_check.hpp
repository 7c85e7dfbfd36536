// What the client needs of its machine and its files, looked at once: what is missing is said in sentences, with the
// cure, before anything is fetched. Nothing is asked of the network.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "device-client/process/config.hpp"

namespace instar::device {

struct Finding {
  enum class Kind : std::uint8_t {
    mistake,  // of the configuration or a file that it names
    machine,  // no container can run here
    note,     // it works, but not as well as it could, or as somebody may believe
  };
  Kind kind = Kind::note;
  std::string text;
};

// The files that the configuration names: there, readable, nobody else's; and what the example's text still has in it.
// `needs_root`: no root document is known yet.
[[nodiscard]] std::vector<Finding> check_files(const Config& config, bool needs_root);

// The file system of the state folder (it is tried whether it can be the upper layer of an overlay, whether it has
// hard links and owners), namespaces, cgroups, instar-lxc and the LXC behind it, the bridge. `helper`: path of
// instar-lxc, or why there is none. Makes a folder beside or in the state folder for that, and removes it again.
[[nodiscard]] std::vector<Finding> check_machine(const Config& config, const Result<std::string>& helper);

// For DeviceFacts: why no container can run here; empty: they can.
[[nodiscard]] std::string why_none_runs(const std::vector<Finding>& findings);

// "cgroup v2", "cgroup v1", "cgroup v1 and v2"; empty: none is mounted. `mounts`: /proc/self/mounts.
[[nodiscard]] std::string cgroup_mode(std::string_view mounts);

}  // namespace instar::device
