// The trees of the revision that runs while a new one is staged. A file that replaces one of theirs under the same path
// gets a later time: docs/decisions/0021-times-of-files.md
#pragma once

#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "files/staging_tree.hpp"

namespace instar::device {

class RunningTrees {
 public:
  // Trees that cannot be opened are left out.
  void open(const std::vector<std::string>& paths);

  // Whether `path` of a new tree may be another name of the file `source_path` of `source`, and so have its time. Not
  // if a running tree has another content there and a time that is not earlier: whoever remembers that time would take
  // the new content for the old one. Errors: io.
  [[nodiscard]] Result<bool> allow_link(const std::string& path, const files::StagingTree& source,
                                        const std::string& source_path) const;

 private:
  std::vector<files::StagingTree> trees_;
};

}  // namespace instar::device
