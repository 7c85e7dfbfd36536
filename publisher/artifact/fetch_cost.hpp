// What a pack costs a device that has a certain tree: the bytes that it will fetch, computed in the same way as on the
// device.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_set>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "publisher/artifact/pack_file.hpp"
#include "publisher/artifact/readable_tree.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

// A device that has exactly one tree, complete and unchanged.
class HeldTree {
 public:
  // `tree` must outlive this object.
  explicit HeldTree(const ReadableTree& tree);

  // Payload bytes that this device fetches by `pack`: the head, and those body chunks that it cannot make from files
  // that it has, whole or cut in the way of the pack's kind, and that are not zeros alone. `fresh`: the entries of the
  // pack's artifact. nullopt for a delta against another tree; 0 for an artifact that the device has. Errors: those of
  // reading the tree.
  [[nodiscard]] Result<std::optional<std::uint64_t>> bytes_to_fetch(const PackFile& pack,
                                                                    const std::vector<artifact::Entry>& fresh,
                                                                    const Work& work);

 private:
  using Chunks = std::unordered_set<Hash256>;
  [[nodiscard]] Result<const Chunks*> chunks(artifact::PackKind kind, const Work& work);

  const ReadableTree& tree_;
  std::unordered_set<Hash256> contents_;
  std::map<artifact::PackKind, Chunks> chunks_;
};

}  // namespace instar::publisher
