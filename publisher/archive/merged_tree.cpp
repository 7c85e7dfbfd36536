#include "publisher/archive/merged_tree.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <unordered_map>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "files/posix.hpp"

namespace instar::publisher {
namespace {

using artifact::Entry;
using artifact::EntryType;

constexpr std::uint16_t kImpliedMode = 0755;
constexpr std::uint32_t kOwnFolderMode = 0700;
constexpr std::size_t kShownNameBytes = 200;

std::vector<std::string_view> components_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    if (slash != 0) parts.push_back(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return parts;
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

std::string_view last_part(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace

std::string shown_name(std::string_view name) {
  std::string text(name.substr(0, kShownNameBytes));
  std::ranges::replace_if(text, is_control, '?');
  return name.size() > kShownNameBytes ? text + "…" : text;
}

Result<std::string> tree_path(std::string_view path) {
  if (std::ranges::any_of(path, is_control))
    return fail(Code::malformed, "'" + shown_name(path) + "' has a control character in its name");
  std::string clean;
  for (const auto part : components_of(path)) {
    if (part == ".") continue;
    if (part == "..") return fail(Code::malformed, "'" + shown_name(path) + "' leads out of the tree by '..'");
    clean += (clean.empty() ? "" : "/") + std::string(part);
  }
  INSTAR_CHECK(artifact::check_path(clean));
  return clean;
}

MergedTree::MergedTree() {
  root_.item = new_folder()->item;
}

std::unique_ptr<MergedTree::Node> MergedTree::new_folder() const {
  auto node = std::make_unique<Node>();
  node->item = std::make_shared<MergedItem>();
  node->item->entry.type = EntryType::directory;
  node->item->entry.mode = kImpliedMode;
  node->layer = layer_;
  return node;
}

MergedTree::Node* MergedTree::node_at(std::string_view path) {
  Node* node = &root_;
  for (const auto part : components_of(path)) {
    const auto found = node->children.find(part);
    if (found == node->children.end()) return nullptr;
    node = found->second.get();
  }
  return node;
}

MergedItem* MergedTree::find(std::string_view path) {
  Node* const node = node_at(path);
  return node == nullptr ? nullptr : node->item.get();
}

bool MergedTree::has_children(std::string_view path) {
  const Node* const node = node_at(path);
  return node != nullptr && !node->children.empty();
}

Result<MergedTree::Node*> MergedTree::folder_of(std::string_view path, bool may_make) {
  struct Step {
    std::string name;
    std::string link;  // from whose target it comes; empty: from the path itself
  };
  std::deque<Step> steps;
  for (const auto part : components_of(path)) steps.push_back({std::string(part), {}});
  if (!steps.empty()) steps.pop_back();
  std::vector<Node*> way{&root_};
  std::size_t links = 0;
  while (!steps.empty()) {
    const Step step = std::move(steps.front());
    steps.pop_front();
    const auto leads_out = [&](const std::string& link) {
      return fail(Code::refused, "'" + shown_name(path) + "' would be written through the link " + link +
                                     ", which leads to no folder of the tree");
    };
    if (step.name == ".") continue;
    if (step.name == "..") {
      if (way.size() == 1) return leads_out(step.link);
      way.pop_back();
      continue;
    }
    const auto found = way.back()->children.find(step.name);
    if (found == way.back()->children.end()) {
      if (!step.link.empty()) return leads_out(step.link);
      if (!may_make) return nullptr;
      way.push_back((way.back()->children[step.name] = new_folder()).get());
      continue;
    }
    Node* const node = found->second.get();
    const Entry& entry = node->item->entry;
    if (node->is_folder()) {
      way.push_back(node);
    } else if (entry.type == EntryType::symlink) {
      const std::string link = "'" + shown_name(step.name) + "' -> '" + shown_name(entry.target) + "'";
      if (entry.target.starts_with('/') || ++links > limits::kLinksFollowedMax) return leads_out(link);
      const auto parts = components_of(entry.target);
      for (auto part = parts.rbegin(); part != parts.rend(); ++part) steps.push_front({std::string(*part), link});
    } else {
      return fail(Code::malformed, "'" + shown_name(path) + "' lies below '" + shown_name(step.name) +
                                       "', which is no folder in this tree");
    }
  }
  return way.back();
}

Status MergedTree::add(const std::string& path, std::shared_ptr<MergedItem> item) {
  const bool is_folder = item->entry.type == EntryType::directory;
  if (path.empty()) {
    if (!is_folder) return fail(Code::malformed, "the root folder is no folder");
    root_.item = std::move(item);
    root_.layer = layer_;
    return {};
  }
  INSTAR_TRY(Node* const folder, folder_of(path, true));
  auto& place = folder->children[std::string(last_part(path))];
  if (place == nullptr || !place->is_folder() || !is_folder) place = std::make_unique<Node>();
  place->item = std::move(item);
  place->layer = layer_;
  return {};
}

Status MergedTree::link(const std::string& path, const std::string& target) {
  INSTAR_TRY(Node* const there, folder_of(target, false));
  const auto found = there == nullptr ? root_.children.end() : there->children.find(last_part(target));
  if (there == nullptr || found == there->children.end() || target.empty())
    return fail(Code::malformed, "'" + shown_name(path) + "' is a hard link to '" + shown_name(target) +
                                     "', which is not there before it");
  if (found->second->is_folder())
    return fail(Code::malformed,
                "'" + shown_name(path) + "' is a hard link to '" + shown_name(target) + "', which is a folder");
  // Onto itself it would be gone before it is there.
  auto item = found->second->item;
  return add(path, std::move(item));
}

bool MergedTree::take_lower(Node& node) const {
  take_lower_children(node);
  if (node.layer == layer_) return false;
  if (node.children.empty()) return true;
  // This layer has something in it, without the folder itself.
  node.item = new_folder()->item;
  node.layer = layer_;
  return false;
}

void MergedTree::take_lower_children(Node& node) const {
  std::erase_if(node.children, [&](const auto& child) { return take_lower(*child.second); });
}

Status MergedTree::whiteout(const std::string& path) {
  INSTAR_TRY(Node* const folder, folder_of(path, false));
  if (folder == nullptr) return {};
  const auto found = folder->children.find(last_part(path));
  if (found != folder->children.end() && take_lower(*found->second)) folder->children.erase(found);
  return {};
}

Status MergedTree::make_opaque(const std::string& path) {
  INSTAR_TRY(Node* const folder, folder_of(path + "/.wh..wh..opq", false));
  if (folder != nullptr) take_lower_children(*folder);
  return {};
}

class MergedTree::Finish {
 public:
  Finish(std::string folder, const artifact::IndexRules& rules) : folder_(std::move(folder)), checker_(rules) {}

  Status take(Node& node, const std::string& path) {
    Entry entry = node.item->entry;
    entry.path = path;
    if (entry.type == EntryType::file) {
      const auto [first, is_new] = first_.try_emplace(node.item.get(), path);
      if (is_new) {
        INSTAR_ASSERT(node.item->content != nullptr);
        entry.size = node.item->content->size();
        entry.content = node.item->content->hash();
        INSTAR_CHECK(node.item->content->move_to(place(path)));
      } else {
        entry = Entry{.path = path,
                      .type = EntryType::hardlink,
                      .xattrs = {},
                      .time = {},
                      .content = {},
                      .target = first->second};
      }
    }
    INSTAR_CHECK(checker_.check(entry));
    entries_.push_back(std::move(entry));
    if (!node.is_folder()) return {};
    if (!path.empty() && ::mkdir(place(path).c_str(), kOwnFolderMode) != 0)
      return files::os_error("making the folder", place(path), errno);
    const std::string prefix = path.empty() ? "" : path + "/";
    for (auto& [name, child] : node.children) INSTAR_CHECK(take(*child, prefix + name));
    return {};
  }

  std::vector<Entry> take_entries() { return std::move(entries_); }

 private:
  [[nodiscard]] std::string place(const std::string& path) const { return folder_ + "/" + path; }
  std::string folder_;
  artifact::IndexChecker checker_;
  std::unordered_map<const MergedItem*, std::string> first_;
  std::vector<Entry> entries_;
};

Result<std::vector<Entry>> MergedTree::finish(const std::string& folder, const artifact::IndexRules& rules) {
  Finish finish(folder, rules);
  INSTAR_CHECK(finish.take(root_, ""));
  return finish.take_entries();
}

}  // namespace instar::publisher
