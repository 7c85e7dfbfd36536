// Where the volumes of a container may appear. Pure; the publisher and the device ask the same questions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"

namespace instar::wire {

// Absolute, not "/" itself, no empty, "." or ".." component.
[[nodiscard]] bool is_volume_path(std::string_view path) noexcept;

// A volume never appears at /proc, /sys or /dev, nor below them: what is there belongs to the kernel. Errors: refused;
// names container, volume and path.
[[nodiscard]] Status check_volume_paths(const Container& container);

// Volumes of one name in several containers are one folder, which must be meant: each of them says `shared`, and all
// give it the same mode and owner. Errors: refused; names the volume and two containers.
[[nodiscard]] Status check_shared_volumes(std::span<const Container* const> containers);

// Compares the paths of volumes with the entries of a tree's index. All of such a path that is in the tree must be
// folders: a link would lead the volume to another place, perhaps out of the container, and a file hides nothing.
class VolumePaths {
 public:
  VolumePaths() = default;
  // The volumes of all containers of `manifest` that run from the tree `artifact`. None for an image: its index does
  // not name what is in it.
  VolumePaths(const Manifest& manifest, const ArtifactId& artifact);

  void add(const Container& container);
  [[nodiscard]] bool is_empty() const noexcept { return places_.empty(); }
  // For every entry of the index, in any order. Errors: refused; names container, volume and path.
  [[nodiscard]] Status check(const artifact::Entry& entry) const;

 private:
  struct Place {
    std::string container;
    std::string volume;
    std::string path;  // without its first slash, as an index has it
  };
  std::vector<Place> places_;
};

}  // namespace instar::wire
