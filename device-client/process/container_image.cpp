#include "device-client/process/container_image.hpp"

#include <array>

namespace instar::device {

std::string format_container_image(const ContainerImage& image) {
  return image.file_system + "\n" + image.file + "\n" + image.upper + "\n" + (image.devices ? "dev" : "nodev") + "\n";
}

std::optional<ContainerImage> parse_container_image(std::string_view text) {
  std::array<std::string, 4> lines;
  for (auto& line : lines) {
    const auto end = text.find('\n');
    if (end == 0 || end == std::string_view::npos) return std::nullopt;
    line = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  auto& [file_system, file, upper, devices] = lines;
  if (!text.empty() || (devices != "dev" && devices != "nodev")) return std::nullopt;
  return ContainerImage{std::move(file_system), std::move(file), std::move(upper), devices == "dev"};
}

}  // namespace instar::device
