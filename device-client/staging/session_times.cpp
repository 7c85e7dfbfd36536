// The time that new files of a revision get: docs/decisions/0021-times-of-files.md
#include <sys/stat.h>

#include <algorithm>

#include "device-client/staging/session.hpp"
#include "files/files.hpp"

namespace instar::device {

// The first base is the revision that runs, if there is one.
std::vector<std::string> StagingSession::running_trees() const {
  std::vector<std::string> trees;
  if (what_.bases.empty() || what_.bases.front() == what_.revision) return trees;
  const std::string path = options_.state_dir + "/revisions/" + std::to_string(what_.bases.front());
  if (!files::exists(path + "/staged")) return trees;
  for (const ArtifactId& artifact : artifact_folders(path + "/artifacts"))
    trees.push_back(path + "/artifacts/" + artifact.hex() + "/tree");
  return trees;
}

// The time at which the release was issued, and later than that of the revision that runs, whose root folders have its
// own. One that lies over a year ahead is not followed: it was kept from a tree, or a clock was wrong.
std::int64_t StagingSession::time_of_new_files(const std::vector<std::string>& running) const {
  constexpr std::int64_t kYearSeconds = 366 * 24 * 3'600;
  const std::int64_t issued = std::max<std::int64_t>(1, what_.manifest.issued.value / 1000);
  std::int64_t time = issued;
  for (const std::string& tree : running) {
    struct stat status {};
    if (::stat(tree.c_str(), &status) != 0 || status.st_mtim.tv_sec > issued + kYearSeconds) continue;
    time = std::max<std::int64_t>(time, status.st_mtim.tv_sec + 1);
  }
  return time;
}

}  // namespace instar::device
