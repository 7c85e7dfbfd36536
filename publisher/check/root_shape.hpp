// Whether a folder looks like the root file system of a container, before it is packed as one.
#pragma once

#include <optional>
#include <string>

namespace instar::publisher {

struct ShapeDoubt {
  std::string text;         // what the folder is instead, and the way out
  bool is_mistake = false;  // it is surely not meant to be packed as it is; else it may be a payload of a handler
};

// nullopt: nothing speaks against it; or `path` is no folder. Only names are looked at, two levels deep.
[[nodiscard]] std::optional<ShapeDoubt> doubt_about_shape(const std::string& path);

}  // namespace instar::publisher
