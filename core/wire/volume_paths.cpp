#include "core/wire/volume_paths.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "core/base/limits.hpp"

namespace instar::wire {
namespace {

constexpr std::array kKernelFolders = {std::string_view("/proc"), std::string_view("/sys"), std::string_view("/dev")};

// Whether `path` is `folder` or below it.
bool is_within(std::string_view path, std::string_view folder) noexcept {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

std::string shown(const std::string& container, const std::string& volume, const std::string& path) {
  return "container '" + container + "': volume '" + volume + "' at " + path;
}

}  // namespace

bool is_volume_path(std::string_view path) noexcept {
  if (!path.starts_with('/')) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto slash = std::min(path.find('/'), path.size());
    const auto component = path.substr(0, slash);
    if (component.empty() || component == "." || component == ".." || component.size() > limits::kPathComponentBytesMax)
      return false;
    path.remove_prefix(slash);
  }
  return true;
}

Status check_volume_paths(const Container& container) {
  for (const auto& volume : container.volumes) {
    if (!is_volume_path(volume.path)) {
      return fail(Code::refused, shown(container.name, volume.name, volume.path) +
                                     ": the path must be absolute, below '/', without empty, '.' or '..' components");
    }
    for (const auto folder : kKernelFolders) {
      if (!is_within(volume.path, folder)) continue;
      return fail(Code::refused, shown(container.name, volume.name, volume.path) +
                                     " would cover what the kernel has in " + std::string(folder) +
                                     "; give it another path in the release");
    }
  }
  return {};
}

Status check_shared_volumes(std::span<const Container* const> containers) {
  std::map<std::string_view, std::pair<const Container*, const Volume*>> first;
  for (const auto* container : containers) {
    for (const auto& volume : container->volumes) {
      const auto [known, is_new] = first.try_emplace(volume.name, container, &volume);
      if (is_new) continue;
      const auto& [other, before] = known->second;
      const std::string what = "volume '" + volume.name + "' of container '" + container->name + "' is that of '" +
                               other->name + "' too, and so the same folder";
      if (!volume.shared || !before->shared) {
        return fail(Code::refused,
                    what + "; say that it is shared with both of them, or give one of them another name");
      }
      if (volume.mode != before->mode || volume.uid != before->uid || volume.gid != before->gid)
        return fail(Code::refused, what + "; give it the same mode, uid and gid in both");
    }
  }
  return {};
}

VolumePaths::VolumePaths(const Manifest& manifest, const ArtifactId& artifact) {
  const auto* const known = manifest.artifact(artifact);
  if (known == nullptr || known->kind == ArtifactKind::image) return;
  for (const auto& container : manifest.containers)
    if (container.artifact == artifact && container.handler.empty()) add(container);
}

void VolumePaths::add(const Container& container) {
  for (const auto& volume : container.volumes)
    places_.push_back({container.name, volume.name, volume.path.substr(volume.path.starts_with('/') ? 1 : 0)});
}

Status VolumePaths::check(const artifact::Entry& entry) const {
  if (entry.type == artifact::EntryType::directory || entry.path.empty()) return {};
  const auto on_the_way = [&](const Place& place) { return is_within(place.path, entry.path); };
  const auto found = std::ranges::find_if(places_, on_the_way);
  if (found == places_.end()) return {};
  const std::string what = shown(found->container, found->volume, "/" + found->path);
  if (entry.type == artifact::EntryType::symlink) {
    return fail(Code::refused, what + " passes a link: its tree has /" + entry.path + " -> " + entry.target +
                                   "; give the volume the path of the folder itself in the release");
  }
  return fail(Code::refused, what + " passes a file: /" + entry.path +
                                 " in its tree is no folder; give the volume another path in the release");
}

}  // namespace instar::wire
