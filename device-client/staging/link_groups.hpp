// Further names for files of which there are more than a file system allows (65 000 on ext4): past its bound a copy is
// made, which the names after it share.
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>
#include <utility>

#include "core/base/result.hpp"
#include "files/staging_tree.hpp"

namespace instar::device {

// Memory: one row for each file that has too many names.
class LinkGroups {
 public:
  // Makes `path` of `tree` another name of `source_path` of `source`, or of a copy of it with the same content, owner,
  // mode, xattrs and time. All calls are for one tree. Returns false when hard links are impossible between the two.
  // Errors: not_found, io, no_space.
  [[nodiscard]] Result<bool> link(files::StagingTree& tree, const std::string& path, const files::StagingTree& source,
                                  const std::string& source_path);

 private:
  [[nodiscard]] static Status copy(files::StagingTree& tree, const std::string& path, int from,
                                   const std::string& shown);

  std::map<std::pair<dev_t, ino_t>, std::string> newest_;  // by the file that is full: a path of its newest copy
};

}  // namespace instar::device
