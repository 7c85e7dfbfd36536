// Where artifacts lie on the operator's machine, found by their ids.
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
  // A folder that may be an artifact's; anything else is passed over.
  void add_folder(const std::string& path);
  // All folders in `path` that are, at most kFoldersMax. Errors: not_found (no such folder).
  [[nodiscard]] Status add_folders_in(const std::string& path);
  // Those that lie beside `path`, and itself.
  void add_siblings_of(const std::string& path);

  // The folder that was added first, of those with this artifact.
  [[nodiscard]] std::optional<std::string> find(const ArtifactId& artifact) const;
  // Where was looked, for people: "out, /srv/artifacts".
  [[nodiscard]] std::string places() const;

  static constexpr std::size_t kFoldersMax = 10'000;

 private:
  std::map<ArtifactId, std::string> folders_;
  std::vector<std::string> places_;
};

}  // namespace instar::publisher
