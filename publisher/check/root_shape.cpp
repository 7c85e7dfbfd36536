#include "publisher/check/root_shape.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "publisher/archive/image_files.hpp"
#include "publisher/artifact/out_folder.hpp"
#include "publisher/artifact/readable_tree.hpp"

namespace instar::publisher {
namespace {

// The folders of hier(7).
constexpr std::array kRootNames = {"bin", "boot", "dev",  "etc", "home", "lib", "lib32", "lib64", "media", "mnt",
                                   "opt", "proc", "root", "run", "sbin", "srv", "sys",   "tmp",   "usr",   "var"};
// Those with programs in them.
constexpr std::array kProgramNames = {"bin", "sbin", "usr", "lib"};

constexpr const char* kWholeImage =
    ": give the whole image, as docker save and podman save write it, or a folder in the OCI layout";

using Names = std::vector<std::string>;

bool has_name(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

template <std::size_t kCount>
std::size_t count_in(const Names& names, const std::array<const char*, kCount>& wanted) {
  return static_cast<std::size_t>(
      std::ranges::count_if(wanted, [&](const char* name) { return has_name(names, name); }));
}

bool ends_like_archive(const std::string& name) {
  return std::ranges::any_of(std::array{".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2", ".cpio", ".zip"},
                             [&](std::string_view end) { return name.ends_with(end); });
}

bool is_whiteout(const std::string& name) {
  return name.starts_with(".wh.");
}

bool is_folder(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// A container image on disk that is_image_folder() does not know, since a part of it is missing; or one layer of it.
std::optional<ShapeDoubt> doubt_of_image(const std::string& path, const Names& names) {
  if (has_name(names, "oci-layout") || (has_name(names, "index.json") && has_name(names, "blobs")))
    return ShapeDoubt{path + " holds a container image (OCI) of which a part is missing" + kWholeImage, true};
  const bool has_layers = has_name(names, "repositories") || std::ranges::any_of(names, [&](const std::string& name) {
                            return ends_like_archive(name) || has_name(list_names(path + "/" + name), "layer.tar");
                          });
  if (has_name(names, "manifest.json") && has_layers)
    return ShapeDoubt{path + " holds a container image of which a part is missing" + kWholeImage, true};
  if (has_name(names, "layer.tar"))
    return ShapeDoubt{path + " holds one layer of a container image, not a root file system" + kWholeImage, true};
  return std::nullopt;
}

// A root file system one level too deep: `rootfs`, or what an archive was unpacked into.
std::optional<ShapeDoubt> doubt_of_depth(const std::string& path, const Names& names) {
  Names roots;
  for (const auto& name : names) {
    if (!is_folder(path + "/" + name)) continue;
    const auto inner = list_names(path + "/" + name);
    const std::size_t wanted = names.size() == 1 ? 1 : 2;
    if (count_in(inner, kRootNames) >= wanted && count_in(inner, kProgramNames) > 0) roots.push_back(name);
  }
  if (roots.size() != 1) return std::nullopt;
  const std::string root = path + (path.ends_with('/') ? "" : "/") + roots.front();
  return ShapeDoubt{path + " has its root file system in the folder " + roots.front() + ": pack " + root, true};
}

}  // namespace

std::optional<ShapeDoubt> doubt_about_shape(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return std::nullopt;
  auto names = list_names(path);
  std::ranges::sort(names);
  if (is_image_folder(path)) return std::nullopt;
  if (names.empty()) return ShapeDoubt{path + " is empty: name the folder that holds the root file system", true};
  if (is_artifact_folder(path)) {
    return ShapeDoubt{path +
                          " is an artifact folder already, made by instar pack: publish it, or name the tree that it "
                          "was made from",
                      true};
  }
  const bool has_root = count_in(names, kRootNames) > 0;
  Names whiteouts = names;
  for (const auto& name : names)
    if (is_folder(path + "/" + name))
      for (auto& inner : list_names(path + "/" + name)) whiteouts.push_back(std::move(inner));
  if (const auto found = std::ranges::find_if(whiteouts, is_whiteout); found != whiteouts.end()) {
    return ShapeDoubt{
        path + " is one layer of a container image: it has '" + *found + "', which marks a deleted file" + kWholeImage,
        true};
  }
  if (has_root) return std::nullopt;
  if (auto doubt = doubt_of_image(path, names)) return doubt;
  if (auto doubt = doubt_of_depth(path, names)) return doubt;
  if (std::ranges::all_of(names, ends_like_archive)) {
    return ShapeDoubt{path + " holds an archive only: pack the archive itself, which instar pack takes as it is"};
  }
  return ShapeDoubt{path +
                    " has none of the folders of a root file system, such as bin, etc, lib, usr: as a container it "
                    "runs only what needs none of them"};
}

}  // namespace instar::publisher
