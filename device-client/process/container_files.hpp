// Files of the host that `instar-lxc volumes` puts into a container's /etc. The list stands in a file in the
// container's folder (switch_files.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace instar::device {

enum class Giving : std::uint8_t {
  bind,          // the container sees the host's file, read-only, whatever it has of its own
  bind_missing,  // the same, where it has none or an empty one
  copy_missing,  // it gets a copy that it may change, where it has none, or one that an earlier start put there
};

struct ContainerFile {
  std::string source;  // on the host
  std::string name;    // in the container's /etc
  Giving giving = Giving::bind;
  friend bool operator==(const ContainerFile&, const ContainerFile&) = default;
};

// How a file that is copied begins: so the next start knows that it may replace it.
inline constexpr std::string_view kCopyMark = "# Put here by instar-device at each start of the container.";

// Three texts for each file, with a zero byte after each.
[[nodiscard]] std::string format_container_files(const std::vector<ContainerFile>& files);
// Nothing when the text is not such a list.
[[nodiscard]] std::optional<std::vector<ContainerFile>> parse_container_files(std::string_view text);

}  // namespace instar::device
