// Delta packs of an artifact folder. A delta is made, compared with what the other packs cost the same device, and kept
// if the device fetches less with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/readable_tree.hpp"
#include "publisher/delta/build.hpp"

namespace instar::publisher {

// The outcome of the delta against one base.
struct DeltaOutcome {
  std::string name;  // of the base, as the operator gave it
  BaseWeight weight;
  bool kept = false;
  bool was_there = false;   // the folder had it already, or had found that it saves nothing
  std::string why_dropped;  // a sentence for people
};

struct DeltaPolicy {
  DeltaOptions options;
  // Keep a delta even if it saves nothing, for inspection.
  bool keep_costly = false;
};

// Makes the delta against `base`, checks that it decodes to the artifact, and adds it to the folder and its
// artifact.json, unless the device would fetch as little without it. `fresh` is the artifact's tree. Figures of `base`
// that the folder has already are used as they are. Errors: those of write_delta_pack and rebuild_delta; internal (the
// delta does not decode). After an error the folder is unchanged.
[[nodiscard]] Result<DeltaOutcome> add_delta(ArtifactFolder& folder, const ReadableTree& fresh,
                                             const ReadableTree& base, const DeltaPolicy& policy);

// What the folder already has of a delta against the artifact `base`, named `name`.
[[nodiscard]] std::optional<DeltaOutcome> known_delta(const ArtifactFolder& folder, const ArtifactId& base,
                                                      const std::string& name);

// Size of the smallest signed manifest that names the artifact with its packs: one container, group, product and
// release of one letter each, a salt of 16 bytes, one signature.
[[nodiscard]] std::size_t minimal_manifest_bytes(const ArtifactFolder& folder);

[[nodiscard]] Json outcomes_json(const std::vector<DeltaOutcome>& outcomes);
[[nodiscard]] Json dropped_json(const std::vector<DeltaOutcome>& outcomes);
[[nodiscard]] std::string outcomes_text(const std::vector<DeltaOutcome>& outcomes);

}  // namespace instar::publisher
