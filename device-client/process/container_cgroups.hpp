// The cgroups that LXC makes for containers, found by their names: of processes that LXC knows nothing of any more, and
// for what the client does with all that runs in a container.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace instar::device {

// Mount points of all cgroup hierarchies (v1 and v2) in the text of /proc/self/mountinfo.
[[nodiscard]] std::vector<std::string> cgroup_mounts(std::string_view mountinfo);

// Whether `folder` is the payload cgroup of `name`. LXC names it "lxc.payload.<name>", and adds "-<number>" when the
// name is taken. The longer name does not count if `is_container` knows a container of that name.
[[nodiscard]] bool is_payload_folder(std::string_view folder, std::string_view name,
                                     const std::function<bool(std::string_view)>& is_container);

// The payload cgroups of `name` under `mounts`.
[[nodiscard]] std::vector<std::string> payload_folders(const std::vector<std::string>& mounts, std::string_view name,
                                                       const std::function<bool(std::string_view)>& is_container);

enum class CgroupOf { payload, monitor };
// The cgroups of one of the two kinds that this machine has for the container `name`, which LXC keeps below `lxcpath`.
[[nodiscard]] std::vector<std::string> container_cgroups(CgroupOf kind, const std::string& lxcpath,
                                                         const std::string& name);

}  // namespace instar::device
