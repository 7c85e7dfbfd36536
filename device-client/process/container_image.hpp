// A container that runs from an image: what `instar-lxc mount` is to do, as a file in the container's folder
// (switch_files.hpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace instar::device {

struct ContainerImage {
  std::string file_system;  // as mount(2) takes it
  std::string file;         // what is mounted, read-only
  std::string upper;        // gets the owner and mode that the image's root has
  bool devices = false;     // device nodes in it can be opened
  friend bool operator==(const ContainerImage&, const ContainerImage&) = default;
};

// Four lines; the paths have no line breaks (docs/device.md, state_dir).
[[nodiscard]] std::string format_container_image(const ContainerImage& image);
// Nothing for text that is none.
[[nodiscard]] std::optional<ContainerImage> parse_container_image(std::string_view text);

}  // namespace instar::device
