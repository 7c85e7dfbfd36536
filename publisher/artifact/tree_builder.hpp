// Writes a directory tree that an index describes: first the entries, then the contents in any order, then hard links
// and metadata.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/trust/digest.hpp"
#include "files/posix.hpp"
#include "files/staging_tree.hpp"
#include "publisher/artifact/out_folder.hpp"

namespace instar::publisher {

// Whole: for an operator. Contents only: folders and files for this process to read, without owners, modes, links and
// devices.
enum class TreeUse : std::uint8_t { whole, contents_only };

class TreeBuilder {
 public:
  // `path` is new or empty. Unless keep() is called, the destructor makes it so again. Errors: invalid_argument, io,
  // no_space.
  [[nodiscard]] static Result<std::unique_ptr<TreeBuilder>> create(const std::string& path, TreeUse use);

  // Adds one entry, in index order. A file starts empty.
  [[nodiscard]] Status add(const artifact::Entry& entry);

  // Size and hash of what was written, for the caller to compare with the index.
  struct Content {
    std::uint64_t size = 0;
    Hash256 hash;
  };
  // Writes the content of a file that was added: begin, write …, end. One file at a time.
  [[nodiscard]] Status begin_file(const std::string& path);
  [[nodiscard]] Status write(ByteView bytes);
  [[nodiscard]] Result<Content> end_file();
  // Copies the content from a file of another tree, or of this one. Errors: not_found, io (no regular file), no_space.
  [[nodiscard]] Result<Content> copy_file(const std::string& path, const files::StagingTree& from,
                                          const std::string& from_path);

  // Makes hard links, and sets owners, modes, xattrs and times of all entries. What this process may not set is left
  // out and counted.
  [[nodiscard]] Status set_metadata(const std::vector<artifact::Entry>& entries);
  // The tree is complete and is kept.
  void keep() noexcept { folder_.keep(); }

  [[nodiscard]] const files::StagingTree& tree() const noexcept { return tree_; }
  [[nodiscard]] const files::StagingTree::LeftOut& left_out() const noexcept { return left_out_; }

 private:
  TreeBuilder(NewFolder folder, TreeUse use) : folder_(std::move(folder)), use_(use) {}
  [[nodiscard]] Status set_metadata_of(const artifact::Entry& entry);

  NewFolder folder_;
  TreeUse use_;
  files::StagingTree tree_;
  files::StagingTree::LeftOut left_out_;
  files::Fd file_;
  std::string shown_;
  trust::Hasher hasher_;
  std::uint64_t size_ = 0;
};

}  // namespace instar::publisher
