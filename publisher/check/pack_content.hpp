// The files of an artifact folder, read out of the chunks of its full pack. Nothing is unpacked.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/check/tree_paths.hpp"

namespace instar::publisher {

// The entries of the folder's index. Errors: io, malformed, too_large.
[[nodiscard]] Result<std::vector<artifact::Entry>> read_index_of(const ArtifactFolder& folder);

class PackContent final : public TreeContent {
 public:
  // The folder must outlive it. `entries`: those of its index.
  PackContent(const ArtifactFolder& folder, const std::vector<artifact::Entry>& entries);
  // Errors: io, corrupt (the pack does not hold what the index says).
  [[nodiscard]] Result<Bytes> read(const artifact::Entry& file, std::uint64_t offset, std::size_t size) override;

 private:
  // The chunk that holds this byte of the content stream: (where it begins, its bytes).
  [[nodiscard]] Result<std::pair<std::uint64_t, const Bytes*>> chunk_at(std::uint64_t offset);

  const PackFile& pack_;
  std::unordered_map<Hash256, std::uint64_t> offsets_;  // content → where it begins in the stream
  std::vector<std::uint64_t> chunk_offsets_;            // where each chunk of the body begins, then where the last ends
  std::deque<std::pair<std::size_t, Bytes>> decoded_;   // those that were read last
};

}  // namespace instar::publisher
