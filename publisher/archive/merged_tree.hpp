// The tree that layers make one after the other. It is in memory, and only the contents of files are on disk
// (stored_content.hpp): so no name and no link of an archive ever reaches a file system before all layers are merged
// and checked.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"
#include "publisher/archive/stored_content.hpp"

namespace instar::publisher {

// What one or more names stand for: the entry without its path, and the content of a file.
struct MergedItem {
  artifact::Entry entry;
  std::shared_ptr<StoredContent> content;
};

class MergedTree {
 public:
  MergedTree();

  // From now on everything belongs to the next layer.
  void begin_layer() noexcept { ++layer_; }

  // `path` in these: as tree_path() returns it. A folder on the way that is not there is made, owned by root. A link on
  // the way is followed as long as it is relative and leads to a folder of the tree. Errors: refused (it is absolute,
  // or leads elsewhere), malformed (a file is on the way; the root folder is replaced by something else).

  // What is there before is replaced, with all that is in it; a folder over a folder keeps what is in it.
  [[nodiscard]] Status add(const std::string& path, std::shared_ptr<MergedItem> item);
  // Another name for what is at `target`. Errors: malformed (nothing is there, or a folder).
  [[nodiscard]] Status link(const std::string& path, const std::string& target);
  // Takes away what earlier layers have at `path`. What this layer has there stays.
  [[nodiscard]] Status whiteout(const std::string& path);
  // Takes away what earlier layers have in the folder.
  [[nodiscard]] Status make_opaque(const std::string& path);

  // nullptr: nothing is there. No link is followed.
  [[nodiscard]] MergedItem* find(std::string_view path);
  // Whether it is a folder with something in it.
  [[nodiscard]] bool has_children(std::string_view path);
  [[nodiscard]] bool is_empty() const noexcept { return root_.children.empty(); }

  // The entries in index order, each further name of a file as a hard link to the first one. The contents are moved to
  // `folder`, which is empty, under their paths; nothing else than files and folders is made there. Call once. Errors:
  // those of artifact::IndexChecker, io.
  [[nodiscard]] Result<std::vector<artifact::Entry>> finish(const std::string& folder,
                                                            const artifact::IndexRules& rules);

 private:
  struct Node {
    std::shared_ptr<MergedItem> item;
    std::map<std::string, std::unique_ptr<Node>, std::less<>> children;
    std::uint32_t layer = 0;  // that said so last
    [[nodiscard]] bool is_folder() const noexcept { return item->entry.type == artifact::EntryType::directory; }
  };
  class Finish;
  [[nodiscard]] Node* node_at(std::string_view path);
  // The folder that holds `path`. `may_make`: otherwise nullptr when it is not there.
  [[nodiscard]] Result<Node*> folder_of(std::string_view path, bool may_make);
  [[nodiscard]] std::unique_ptr<Node> new_folder() const;
  // Returns whether nothing is left of it.
  [[nodiscard]] bool take_lower(Node& node) const;
  void take_lower_children(Node& node) const;

  Node root_;
  std::uint32_t layer_ = 0;
};

// The path of an archive's entry as an index has it: without a slash or "./" in front; "" is the root folder. Errors:
// malformed ("..", control characters), too_large.
[[nodiscard]] Result<std::string> tree_path(std::string_view path);
// A name from outside for a message: without control characters, and cut.
[[nodiscard]] std::string shown_name(std::string_view name);

}  // namespace instar::publisher
