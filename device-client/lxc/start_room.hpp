// Whether a container did not start for want of room on the disk. LXC has no code for that.
#pragma once

#include <sys/types.h>

#include <string>

namespace instar::device {

// `reason`: what LXC, a hook or the kernel said. Where LXC's log could not be written either it says anything or
// nothing, so it is also tried whether the files of a start can be made in `folder`, the container's. Removes them.
[[nodiscard]] bool is_for_want_of_room(const std::string& reason, const std::string& folder);

// An overlay that cannot make its work folder is mounted all the same, and can only be read. False where all of the
// disk, which `lxcpath` is on, can only be read. `first`: the container's first process, which may have ended.
[[nodiscard]] bool is_read_only_overlay(pid_t first, const std::string& lxcpath);

}  // namespace instar::device
