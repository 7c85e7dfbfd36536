// What `instar pack` makes of a tree: a folder with the index, one file for each pack, and artifact.json. docs/formats/pack-file.md
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"
#include "publisher/console.hpp"
#include "publisher/pack_file.hpp"

namespace instar::publisher {

inline constexpr std::string_view kArtifactFile = "artifact.json";
inline constexpr std::string_view kIndexFile = "index";

struct BuildOptions {
  std::string tree;
  std::string out;
  std::vector<artifact::PackKind> kinds{artifact::PackKind::full, artifact::PackKind::dedupe};
  int level = 19;
  bool devices_allowed = false;
  // Called from the thread that builds, a few times a second: what is being done, bytes done of bytes in all.
  std::function<void(const std::string& what, std::uint64_t done, std::uint64_t all)> progress;
};

struct ArtifactFolder {
  std::string path;
  Hash256 id;
  std::uint64_t content_bytes = 0;
  std::uint32_t entry_count = 0;
  std::uint32_t index_bytes = 0;
  std::vector<PackFile> packs;
};

// Reads the tree and writes the folder; artifact.json comes last, so that a folder that has one is whole. Each kind of pack is
// made on a thread of its own. Same tree and level, same bytes, wherever it lies.
// Errors: invalid_argument (no `full` among the kinds; `out` inside the tree or a folder that holds other things), those of
// files::read_tree, io, no_space.
[[nodiscard]] Result<ArtifactFolder> build_artifact(const BuildOptions& options);

// Opens a folder: artifact.json names its files, and everything in them that can be checked without reading the chunks is.
// Errors: not_found, malformed, corrupt (index or pack is not the one that artifact.json names).
[[nodiscard]] Result<ArtifactFolder> open_artifact(const std::string& path);

// Decodes every chunk of every pack and checks index, body tables and file contents against it.
[[nodiscard]] Status verify_artifact(const ArtifactFolder& folder);

// What a manifest says of it.
[[nodiscard]] wire::Artifact manifest_artifact(const ArtifactFolder& folder);
// The content of artifact.json.
[[nodiscard]] Json artifact_json(const ArtifactFolder& folder);
// The same for people: what a device would fetch by each pack, exact.
[[nodiscard]] std::string artifact_text(const ArtifactFolder& folder);

}  // namespace instar::publisher
