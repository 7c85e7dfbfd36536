#include "core/wire/manifest.hpp"

#include <algorithm>

namespace instar::wire {

const Artifact* Manifest::artifact(const ArtifactId& id) const noexcept {
  const auto found = std::ranges::find(artifacts, id, &Artifact::id);
  return found == artifacts.end() ? nullptr : &*found;
}

bool Manifest::is_for(const GroupPath& group) const noexcept {
  return std::ranges::any_of(groups, [&](const GroupPath& mine) { return mine.covers(group); });
}

}  // namespace instar::wire
