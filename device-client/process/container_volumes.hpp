// Where `instar-lxc volumes` has to mount the volumes of a container. It stands in a file in the container's folder
// (switch_files.hpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace instar::device {

struct ContainerVolume {
  std::string name;
  std::string source;  // the folder on the host
  std::string path;    // in the container: absolute, without empty, "." or ".." components
  friend bool operator==(const ContainerVolume&, const ContainerVolume&) = default;
};

// Three texts for each volume, with a zero byte after each. They are mounted in this order.
[[nodiscard]] std::string format_container_volumes(const std::vector<ContainerVolume>& volumes);
// Nothing when the text is not such a file, or when a path has another form.
[[nodiscard]] std::optional<std::vector<ContainerVolume>> parse_container_volumes(std::string_view text);

}  // namespace instar::device
