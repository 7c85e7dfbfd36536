#include "device-client/process/container_volumes.hpp"

#include <algorithm>
#include <array>

namespace instar::device {
namespace {

bool is_clean(std::string_view path) {
  if (!path.starts_with('/')) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto component = path.substr(0, path.find('/'));
    if (component.empty() || component == "." || component == "..") return false;
    path.remove_prefix(component.size());
  }
  return true;
}

}  // namespace

std::string format_container_volumes(const std::vector<ContainerVolume>& volumes) {
  std::string text;
  for (const auto& volume : volumes)
    for (const auto* part : {&volume.name, &volume.source, &volume.path}) text.append(*part).push_back('\0');
  return text;
}

std::optional<std::vector<ContainerVolume>> parse_container_volumes(std::string_view text) {
  std::vector<ContainerVolume> volumes;
  while (!text.empty()) {
    std::array<std::string, 3> parts;
    for (auto& part : parts) {
      const auto end = text.find('\0');
      if (end == std::string_view::npos || end == 0) return std::nullopt;
      part = text.substr(0, end);
      text.remove_prefix(end + 1);
    }
    auto& [name, source, path] = parts;
    if (!is_clean(path)) return std::nullopt;
    volumes.push_back({std::move(name), std::move(source), std::move(path)});
  }
  return volumes;
}

}  // namespace instar::device
