// What `instar-lxc mount` has to do for a container that runs from an image. It stands in a file in the container's
// folder (switch_files.hpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace instar::device {

struct ContainerImage {
  std::string file_system;  // as mount(2) takes it
  std::string file;         // the image, mounted read-only
  std::string upper;        // the folder that gets owner and mode of the image's root
  bool devices = false;     // device nodes in the image can be opened
  friend bool operator==(const ContainerImage&, const ContainerImage&) = default;
};

// Four lines. The paths cannot contain line breaks (docs/device.md, state_dir).
[[nodiscard]] std::string format_container_image(const ContainerImage& image);
// Nothing when the text is not such a file.
[[nodiscard]] std::optional<ContainerImage> parse_container_image(std::string_view text);

}  // namespace instar::device
