// A tree on this device from which a new one can take what they have in common: an artifact of a staged revision, or
// what an abandoned staging has already received. It is only read, except for the cache of its chunks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/base/result.hpp"
#include "device-client/staging/chunks.hpp"
#include "device-client/staging/index.hpp"
#include "files/staging_tree.hpp"

namespace instar::device {

using files::StagingTree;

class StagingSource {
 public:
  // `folder` is revisions/<n>/artifacts/<hash>. `complete`: its revision is staged. Otherwise it has only what its
  // bitmap says. Errors: not_found, io.
  [[nodiscard]] static Result<StagingSource> open(const std::string& folder, const ArtifactId& artifact, bool complete,
                                                  artifact::IndexRules rules);

  [[nodiscard]] const ArtifactId& artifact() const noexcept { return artifact_; }
  [[nodiscard]] bool is_complete() const noexcept { return complete_; }
  [[nodiscard]] const std::string& index_path() const noexcept { return index_path_; }
  [[nodiscard]] const StagingTree& tree() const noexcept { return tree_; }

  // Reads some of the index. Returns true when all of it has been read. Errors: corrupt (its hash is not the folder's
  // name), io …
  [[nodiscard]] Result<bool> read_index(std::uint32_t entries);
  // Finds some of the chunks in the way that `kind` cuts them. Returns true when all are known.
  [[nodiscard]] Result<bool> find_chunks(artifact::PackKind kind, std::uint64_t bytes);

  // Its content could not be read. From now on it has no chunks.
  void forget_chunks(artifact::PackKind kind);

  // --- after read_index() ---
  [[nodiscard]] const ContentTable& contents() const noexcept { return contents_; }
  // The first row with this content, if all of the content is there.
  [[nodiscard]] std::optional<std::uint32_t> find_content(const Hash256& content) const;
  // --- after find_chunks(kind) ---
  [[nodiscard]] const ChunkPlace* find(artifact::PackKind kind, const Hash256& hash) const;
  // Fails when the content stream cannot be read there. The caller checks whether the content is right.
  [[nodiscard]] Result<Bytes> read(std::uint64_t offset, std::uint32_t bytes) const;
  [[nodiscard]] Status read_content(std::uint32_t row, std::uint64_t offset, std::span<std::uint8_t> out) const;

 private:
  StagingSource() = default;
  [[nodiscard]] Status read_received();
  [[nodiscard]] Status cut_some(artifact::PackKind kind, std::uint64_t bytes);

  std::string folder_;
  std::string index_path_;
  ArtifactId artifact_;
  bool complete_ = false;
  artifact::IndexRules rules_;
  StagingTree tree_;
  std::unique_ptr<IndexStream> stream_;
  bool index_read_ = false;
  ContentTable contents_;
  std::map<artifact::PackKind, std::vector<ChunkPlace>> chunks_;
  std::vector<bool> received_;  // for an abandoned staging: for each row, whether all of its content is there
  // The kind of pack for which chunks are being cut, and how far that is.
  std::optional<artifact::PackKind> cutting_;
  std::vector<ChunkPlace> cut_;
  std::uint64_t cut_to_ = 0;
};

}  // namespace instar::device
