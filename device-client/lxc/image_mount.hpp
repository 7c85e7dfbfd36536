// Mounts a container's image: part of instar-lxc, which LXC calls in the container's own mount namespace before there
// is a root.
#pragma once

#include <string>

#include "core/base/result.hpp"
#include "device-client/process/container_image.hpp"

namespace instar::device {

// Attaches the file to a free loop device and mounts it, both read-only, at `lower`, which is made when absent; then
// gives the upper folder the owner and mode of the image's root. The loop device lets go of the file by itself when the
// mount is gone, and when this fails. Errors: not_found (the image), unsupported (no loop devices, or no such file
// system), corrupt (the kernel cannot read it), io.
[[nodiscard]] Status mount_image(const ContainerImage& image, const std::string& lower);

}  // namespace instar::device
