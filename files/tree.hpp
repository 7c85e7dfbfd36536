// Turns a directory tree on disk into index entries, and reads its contents.
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
// Errors name the path: refused (a device that is not allowed), io, too_large.
[[nodiscard]] Result<std::vector<artifact::Entry>> read_tree(const std::string& root, const TreeOptions& options);

// The xattrs of an open file or folder that a tree keeps, by name.
[[nodiscard]] Result<std::vector<artifact::Xattr>> read_xattrs(int fd, const std::string& shown);

// The source of contents for make_pack(). It reads below `root`. A file that changed since the walk is an error
// (corrupt).
[[nodiscard]] std::unique_ptr<artifact::ContentSource> tree_source(const std::string& root);

}  // namespace instar::files
