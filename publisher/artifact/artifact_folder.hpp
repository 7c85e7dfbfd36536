// What `instar pack` makes of a tree or of an image file: a folder with the index, one file for each pack, and
// artifact.json. docs/formats/pack-file.md
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"
#include "publisher/artifact/pack_file.hpp"
#include "publisher/console/console.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

struct ReadableTree;

inline constexpr std::string_view kArtifactFile = "artifact.json";
inline constexpr std::string_view kIndexFile = "index";

struct BuildOptions {
  std::string tree;  // or an image file
  std::string out;
  std::vector<artifact::PackKind> kinds{artifact::PackKind::full, artifact::PackKind::dedupe};
  int level = 19;
  bool devices_allowed = false;
  Work work;
};

// What a device that has another artifact, `base`, fetches of this one, by each kind of pack; exact.
struct BaseWeight {
  ArtifactId base;
  std::uint64_t full_bytes = 0;
  std::optional<std::uint64_t> dedupe_bytes;  // nothing: there is no such pack
  std::optional<std::uint64_t> delta_bytes;   // nothing: none was made
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
  std::uint32_t entry_count = 0;
  std::uint32_t index_bytes = 0;
  std::vector<PackFile> packs;
  // Of each base that a delta was made against, or tried: the delta of those that did not pay is not among the packs.
  std::vector<BaseWeight> weights;
};

// Reads the tree and writes the folder; artifact.json comes last, so that a folder that has one is whole. Each kind of
// pack is made on a thread of its own. Same tree and level, same bytes, wherever it lies. Errors: invalid_argument (no
// `full` among the kinds; `out` inside the tree or a folder that holds other things), those of files::read_tree and
// open_image, io, no_space, unavailable (stopped: nothing of it is left).
[[nodiscard]] Result<ArtifactFolder> build_artifact(const BuildOptions& options);

// Writes artifact.json anew: the packs of `folder` are what the folder holds.
[[nodiscard]] Status write_listing(const ArtifactFolder& folder);

// Opens a folder: artifact.json names its files, and everything in them that can be checked without reading the chunks
// is. Errors: not_found, malformed, corrupt (index or pack is not the one that artifact.json names).
[[nodiscard]] Result<ArtifactFolder> open_artifact(const std::string& path);
// Only looks which artifact it is said to be. Errors: not_found, malformed.
[[nodiscard]] Result<ArtifactId> listed_artifact(const std::string& path);
// Every folder has one.
[[nodiscard]] const PackFile& full_pack(const ArtifactFolder& folder);

// Decodes every chunk of every pack and checks index, body tables and file contents against it. Of deltas against
// another tree than `base` (may be null), the chunks only.
[[nodiscard]] Status verify_artifact(const ArtifactFolder& folder, const ReadableTree* base = nullptr);
// A delta pack alone, in the same way.
[[nodiscard]] Status verify_delta(const PackFile& pack, const ReadableTree* base);

// What a manifest says of it.
[[nodiscard]] wire::Artifact manifest_artifact(const ArtifactFolder& folder);
// The content of artifact.json.
[[nodiscard]] Json artifact_json(const ArtifactFolder& folder);
// The same for people: what a device would fetch by each pack, exact.
[[nodiscard]] std::string artifact_text(const ArtifactFolder& folder);

}  // namespace instar::publisher
