// Mounts a container's volumes. This is a part of instar-lxc, which LXC calls in the container's own mount namespace
// when the container's root is there and nothing of the container runs yet.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "device-client/process/container_volumes.hpp"

namespace instar::device {

// The mount point of `volume` below `root`, an open folder. Components of its path that do not exist are made, with
// mode 0755. None of those that exist may be a link or anything else that is no folder: neither what a release brought
// nor what a container left behind leads out of `root`. Returns a descriptor of the mount point, which the caller
// closes. Errors: refused (names volume, path and component), io.
[[nodiscard]] Result<int> make_mount_point(int root, const ContainerVolume& volume);

// Binds each volume at its mount point below the folder `root`, in this order. Errors: those of make_mount_point(),
// not_found (the volume's folder).
[[nodiscard]] Status mount_volumes(const std::vector<ContainerVolume>& volumes, const std::string& root);

}  // namespace instar::device
