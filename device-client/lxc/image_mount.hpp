// Mounts a container's image. This is a part of instar-lxc, which LXC calls in the container's own mount namespace
// before the root is there.
#pragma once

#include <string>

#include "core/base/result.hpp"
#include "device-client/process/container_image.hpp"

namespace instar::device {

// Attaches the file to a free loop device and mounts it, both read-only, at `lower`, which is made if it does not
// exist. Then gives the upper folder the owner and mode of the image's root. The loop device releases the file by
// itself when the mount is gone, and when this fails. Errors: not_found (the image), unsupported (no loop devices, or
// no such file system), corrupt (the kernel cannot read it), io.
[[nodiscard]] Status mount_image(const ContainerImage& image, const std::string& lower);

}  // namespace instar::device
