// A directory tree on disk as index entries, and back.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/artifact/pack.hpp"
#include "core/base/result.hpp"

namespace instar::files {

struct TreeOptions {
  artifact::IndexRules rules;
  std::function<void(std::uint64_t done, std::uint64_t all)> progress;  // bytes hashed
};

// Walks `root` with openat and O_NOFOLLOW, hashes files, finds hard links inside the tree, reads xattrs
// (security.capability and user.* only), and returns the entries in index order. Sockets are refused.
// Errors name the path: refused (device without leave), io, too_large.
[[nodiscard]] Result<std::vector<artifact::Entry>> read_tree(const std::string& root, const TreeOptions& options);

// The xattrs that a tree keeps, of an open file or folder, by name.
[[nodiscard]] Result<std::vector<artifact::Xattr>> read_xattrs(int fd, const std::string& shown);

// Contents for make_pack(): reads below `root`; an entry that changed since the walk is an error (corrupt).
[[nodiscard]] std::unique_ptr<artifact::ContentSource> tree_source(const std::string& root);

}  // namespace instar::files
