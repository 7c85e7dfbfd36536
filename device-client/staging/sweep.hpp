// Removes from a tree all that its index does not name. Another way of making the tree may have left that there.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "device-client/staging/index.hpp"
#include "files/staging_tree.hpp"

namespace instar::device {

using files::StagingTree;

// Memory: 8 bytes for each entry, and the paths of the folders that are still to be read.
class StagingSweep {
 public:
  // `tree` must outlive the sweep. Errors: not_found, io.
  [[nodiscard]] static Result<std::unique_ptr<StagingSweep>> open(StagingTree& tree, const std::string& index,
                                                                  artifact::IndexRules rules);
  // Does some of the work. Returns true when nothing is left.
  [[nodiscard]] Result<bool> sweep(std::uint32_t entries);

 private:
  explicit StagingSweep(StagingTree& tree) : tree_(tree) {}
  [[nodiscard]] Status sweep_folder(const std::string& folder);
  [[nodiscard]] bool is_named(const std::string& path) const;

  StagingTree& tree_;
  std::unique_ptr<IndexStream> index_;  // while it is being read
  std::vector<std::uint64_t> named_;    // digests of paths
  std::vector<std::string> folders_;
};

}  // namespace instar::device
