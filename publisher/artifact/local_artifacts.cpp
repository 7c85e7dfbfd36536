#include "publisher/artifact/local_artifacts.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/out_folder.hpp"
#include "publisher/artifact/readable_tree.hpp"

namespace instar::publisher {

void LocalArtifacts::add_folder(const std::string& path) {
  if (!is_artifact_folder(path)) return;
  if (const auto artifact = listed_artifact(path)) folders_.emplace(*artifact, path);
}

Status LocalArtifacts::add_folders_in(const std::string& path) {
  if (real_path(path).empty()) return fail(Code::not_found, path + ": no such folder");
  if (std::ranges::find(places_, path) != places_.end()) return {};
  places_.push_back(path);
  auto names = list_names(path);
  std::ranges::sort(names);
  if (names.size() > limits::kArtifactFoldersMax) names.resize(limits::kArtifactFoldersMax);
  for (const auto& name : names) add_folder(path + "/" + name);
  return {};
}

void LocalArtifacts::add_siblings_of(const std::string& path) {
  add_folder(path);
  static_cast<void>(add_folders_in(parent_folder(path)));
}

std::optional<std::string> LocalArtifacts::find(const ArtifactId& artifact) const {
  const auto found = folders_.find(artifact);
  if (found == folders_.end()) return std::nullopt;
  return found->second;
}

std::string LocalArtifacts::places() const {
  std::string text;
  for (const auto& place : places_) text += (text.empty() ? "" : ", ") + place;
  return text.empty() ? "any folder" : text;
}

}  // namespace instar::publisher
