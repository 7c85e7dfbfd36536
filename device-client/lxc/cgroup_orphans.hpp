// Finds processes of a container whose LXC monitor died: LXC says that the container is stopped, while its init still
// runs. Starting it again would give two instances. They are found by the cgroup that LXC made for them.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.hpp"

namespace instar::device {

// Process ids in these cgroups and all below them, each once.
[[nodiscard]] std::vector<int> cgroup_processes(const std::vector<std::string>& folders);

// All processes of the container `name` that LXC keeps below `lxcpath`.
[[nodiscard]] std::vector<int> container_processes(const std::string& lxcpath, const std::string& name);

// Kills every process in the payload cgroups of `name` and waits until all have ended. Then removes the empty cgroups,
// also the monitor's, which LXC leaves behind at each start. Only for a container that LXC says is stopped. Returns how
// many processes there were. Errors: io (some did not end within `timeout_ms`).
[[nodiscard]] Result<std::size_t> end_orphans(const std::string& lxcpath, const std::string& name,
                                              std::uint32_t timeout_ms);

}  // namespace instar::device
