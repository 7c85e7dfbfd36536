// Turns a directory tree on disk into index entries, and reads its contents.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/artifact/pack.hpp"
#include "core/base/result.hpp"
#include "files/tree_notes.hpp"

namespace instar::files {

struct TreeOptions {
  artifact::IndexRules rules;
  std::function<void(std::uint64_t done, std::uint64_t all)> progress;  // bytes hashed
  bool keep_times = false;                                              // of files and folders, in whole seconds
  TreeNotes* notes = nullptr;                                           // is added to
};

// Walks `root` with openat and O_NOFOLLOW, hashes files, finds hard links inside the tree, reads those xattrs that a
// tree may carry (file capabilities, ACLs, user.*), and returns the entries in index order. Sockets are refused.
// Errors name the path: refused (a device that is not allowed; a time before 1970 or after 2106 that is to be kept),
// io, too_large.
[[nodiscard]] Result<std::vector<artifact::Entry>> read_tree(const std::string& root, const TreeOptions& options);

// The names of all xattrs of an open file or folder, in no order. None where the file system has no xattrs.
[[nodiscard]] Result<std::vector<std::string>> list_xattrs(int fd, const std::string& shown);
// The xattrs of an open file or folder that a tree keeps, by name. `notes` (may be null) gets the names of the others,
// for the entry `path`.
[[nodiscard]] Result<std::vector<artifact::Xattr>> read_xattrs(int fd, const std::string& shown, TreeNotes* notes,
                                                               std::string_view path);
[[nodiscard]] Result<std::vector<artifact::Xattr>> read_xattrs(int fd, const std::string& shown);

// The source of contents for make_pack(). It reads below `root`. A file that changed since the walk is an error
// (corrupt).
[[nodiscard]] std::unique_ptr<artifact::ContentSource> tree_source(const std::string& root);

}  // namespace instar::files
