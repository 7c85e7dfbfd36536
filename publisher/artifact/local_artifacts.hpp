// Finds artifacts on the operator's machine by their ids.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"

namespace instar::publisher {

class LocalArtifacts {
 public:
  // Adds a folder if it is an artifact's. Anything else is ignored.
  void add_folder(const std::string& path);
  // Adds all artifact folders in `path`, at most limits::kArtifactFoldersMax. Errors: not_found (no such folder).
  [[nodiscard]] Status add_folders_in(const std::string& path);
  // Adds `path` and the artifact folders beside it.
  void add_siblings_of(const std::string& path);

  // The first folder with this artifact, in the order in which they were added.
  [[nodiscard]] std::optional<std::string> find(const ArtifactId& artifact) const;
  // The places that were searched, for people: "out, /srv/artifacts".
  [[nodiscard]] std::string places() const;

 private:
  std::map<ArtifactId, std::string> folders_;
  std::vector<std::string> places_;
};

}  // namespace instar::publisher
