// What `instar pack` makes of a tree, an image file, an archive or a container image: a folder with the index, one file
// for each pack, and artifact.json. docs/formats/pack-file.md
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"
#include "files/tree_notes.hpp"
#include "publisher/artifact/pack_file.hpp"
#include "publisher/artifact/source_tree.hpp"
#include "publisher/console/console.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

struct ReadableTree;

inline constexpr std::string_view kArtifactFile = "artifact.json";
inline constexpr std::string_view kIndexFile = "index";

struct BuildOptions {
  std::string tree;  // or an image file, an archive, a container image
  std::string out;
  std::vector<artifact::PackKind> kinds{artifact::PackKind::full, artifact::PackKind::dedupe};
  int level = 19;
  bool devices_allowed = false;
  // An artifact of other content may be in `out`: it is moved aside then, to a folder beside it that ends with its id.
  bool replace = false;
  bool keep_times = false;            // of the files and folders of a tree
  files::TreeNotes* notes = nullptr;  // gets what the artifact does not carry of a tree
  ImageWish image = {};               // which of several container images
  Work work;
};

// How many bytes of this artifact a device fetches that has the artifact `base`, by each kind of pack. The numbers are
// exact.
struct BaseWeight {
  ArtifactId base;
  std::uint64_t full_bytes = 0;
  std::optional<std::uint64_t> dedupe_bytes;  // nullopt: there is no such pack
  std::optional<std::uint64_t> delta_bytes;   // nullopt: none was made
  friend bool operator==(const BaseWeight&, const BaseWeight&) = default;
  // Of the packs that need no base.
  [[nodiscard]] std::uint64_t best_without_delta() const noexcept {
    return std::min(full_bytes, dedupe_bytes.value_or(full_bytes));
  }
  [[nodiscard]] bool delta_pays() const noexcept { return delta_bytes && *delta_bytes < best_without_delta(); }
};

struct ArtifactFolder {
  std::string path;
  ArtifactId id;
  wire::ImageFormat image_format = wire::ImageFormat::none;  // none: a tree
  std::uint64_t content_bytes = 0;
  std::uint64_t hole_bytes = 0;  // of them: zeros, by the pack that shows the most
  std::uint32_t entry_count = 0;
  std::uint32_t index_bytes = 0;
  std::vector<PackFile> packs;
  // The figures of each base that a delta was made against, also of those whose delta was dropped because it saved
  // nothing.
  std::vector<BaseWeight> weights;
  std::optional<Origin> origin = {};  // of one that was made from an archive or container image
  std::string kept_aside = {};  // when it was built: where the artifact is now that stood in its place; empty: none did
};

// Reads the tree and writes the folder. artifact.json is written last, so a folder that has one is complete. Each kind
// of pack is made on its own thread. The same tree and level give the same bytes, wherever the tree is. Errors:
// invalid_argument (no `full` among the kinds; `out` inside the tree or a folder that holds other things, or an
// artifact of other content while `replace` is not set), those of open_source, io, no_space,
// unavailable (stopped: nothing is left behind). After an error an artifact of other content is in `out` as before.
// `source`: gets what was read, to make deltas against it; may be null.
[[nodiscard]] Result<ArtifactFolder> build_artifact(const BuildOptions& options,
                                                    std::optional<SourceTree>* source = nullptr);

// Sets hole_bytes by the packs.
void count_holes(ArtifactFolder& folder);

// Writes artifact.json again, so that it lists the packs of `folder`.
[[nodiscard]] Status write_listing(const ArtifactFolder& folder);

// Opens a folder. artifact.json names its files, and all in them that can be checked without reading the chunks is
// checked. Errors: not_found, malformed, corrupt (index or pack is not the one that artifact.json names).
[[nodiscard]] Result<ArtifactFolder> open_artifact(const std::string& path);
// Only reads which artifact it says it is. Errors: not_found, malformed.
[[nodiscard]] Result<ArtifactId> listed_artifact(const std::string& path);
// The full pack, which every folder has.
[[nodiscard]] const PackFile& full_pack(const ArtifactFolder& folder);

// Decodes every chunk of every pack and checks index, body tables and file contents against it. Of deltas against
// another tree than `base` (may be null), the chunks only.
[[nodiscard]] Status verify_artifact(const ArtifactFolder& folder, const ReadableTree* base = nullptr);
// Verifies only a delta pack, in the same way.
[[nodiscard]] Status verify_delta(const PackFile& pack, const ReadableTree* base);

// What a manifest says of the artifact.
[[nodiscard]] wire::Artifact manifest_artifact(const ArtifactFolder& folder);
// The content of artifact.json.
[[nodiscard]] Json artifact_json(const ArtifactFolder& folder);
// The same for people: what a device would fetch by each pack, exact.
[[nodiscard]] std::string artifact_text(const ArtifactFolder& folder);

}  // namespace instar::publisher
