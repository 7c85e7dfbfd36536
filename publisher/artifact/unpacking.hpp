// `instar unpack`: makes a directory tree from a pack.
#pragma once

#include <cstdint>
#include <string>

#include "core/artifact/pack.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "files/staging_tree.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

struct UnpackOptions {
  // A pack file, or an artifact folder. Of a folder, the delta against `base` is used if a base is given, else the full
  // pack.
  std::string source;
  // Directory tree or artifact folder that a delta is against.
  std::string base;
  std::string out;
  Work work;
};

struct Unpacked {
  std::string pack;  // the file that was used
  artifact::PackKind kind = artifact::PackKind::full;
  ArtifactId artifact;
  std::uint64_t entry_count = 0;
  std::uint64_t content_bytes = 0;  // of all files, also of repeated ones
  // What this process may not set. If that is nothing, the tree on disk was read again and its hash is the artifact's
  // id.
  files::StagingTree::LeftOut left_out;
};

// Contents are checked against the index, and the index against the artifact id. After an error `out` is unchanged.
// Errors: invalid_argument (`out` is not empty; another base, or none; no delta against it), and those of
// PackFile::open, open_artifact, open_tree; corrupt, io, no_space; unavailable (stopped).
[[nodiscard]] Result<Unpacked> unpack(const UnpackOptions& options);

}  // namespace instar::publisher
