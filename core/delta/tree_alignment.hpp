// Finds which entry of a new tree takes the place of which entry of its base.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/artifact/index.hpp"

namespace instar::delta {

inline constexpr std::uint32_t kNoEntry = 0xffffffff;

// One step through both trees: an entry of each (same type, same parent in the sense of earlier steps, same or another
// name), or one that is only in the base (removed), or one that is only in the new tree.
struct Place {
  std::uint32_t base = kNoEntry;
  std::uint32_t fresh = kNoEntry;
  friend bool operator==(const Place&, const Place&) = default;
};

// Has each entry of both trees once, and the entries of each tree in index order. A renamed entry is found by name,
// content and what it holds, if its place among its neighbours is still the same.
[[nodiscard]] std::vector<Place> align_trees(std::span<const artifact::Entry> base,
                                             std::span<const artifact::Entry> fresh);

}  // namespace instar::delta
