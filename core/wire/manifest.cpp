#include "core/wire/manifest.hpp"

#include <algorithm>

#include "core/trust/digest.hpp"

namespace instar::wire {

const Artifact* Manifest::artifact(const ArtifactId& id) const noexcept {
  const auto found = std::ranges::find(artifacts, id, &Artifact::id);
  return found == artifacts.end() ? nullptr : &*found;
}

bool Manifest::is_for(const GroupPath& group) const noexcept {
  return std::ranges::any_of(groups, [&](const GroupPath& mine) { return mine.covers(group); });
}

Hash256 content_hash(const Manifest& manifest) {
  Manifest content;
  content.product = manifest.product;
  content.release = manifest.release;
  content.containers = manifest.containers;
  content.requirements = manifest.requirements;
  return trust::digest(encode_manifest(content));
}

}  // namespace instar::wire
