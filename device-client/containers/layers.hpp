// What containers have written: the layer of each, revisions/<n>/containers/<name>, which holds the upper folder of its
// overlay and what LXC needs beside it. How large it is, and how large the kernel lets it become.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.hpp"

namespace instar::device {

struct LayerSize {
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;
};

// 0: no bound.
using LayerBound = LayerSize;

// Looks at limits::kLayerEntriesMax entries at most. What is not there has no size.
[[nodiscard]] LayerSize size_of_layer(const std::string& folder);

// Makes the kernel bound what is written below the folder from now on, by a quota of the project that it gives to it:
// ext4 with the feature `project` and xfs, mounted with `prjquota`. `name` and `revision` make the project's number, so
// that layers that exist at the same time have different ones. A bound of 0 is seven eighths of the file system, which
// leaves room for the client. True: it is bounded; false: this file system does not count by project. Errors: not_found
// (no such folder), io.
[[nodiscard]] Result<bool> bound_layer(const std::string& folder, const std::string& name, std::uint32_t revision,
                                       const LayerBound& bound);

}  // namespace instar::device
