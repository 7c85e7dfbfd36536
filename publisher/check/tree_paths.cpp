#include "publisher/check/tree_paths.hpp"

#include <deque>

#include "core/base/limits.hpp"

namespace instar::publisher {
namespace {

using artifact::Entry;
using artifact::EntryType;

void put_before(std::deque<std::string>& left, std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = std::min(path.find('/'), path.size());
    if (slash > 0) parts.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  left.insert(left.begin(), parts.begin(), parts.end());
}

// The entries of an index have no slash at the beginning.
std::string_view in_index(std::string_view path) {
  return path.substr(path.starts_with('/') ? 1 : 0);
}

std::string absolute(std::string_view path) {
  return path.empty() ? "/" : std::string(path);
}

}  // namespace

TreePaths::TreePaths(const std::vector<Entry>& entries) : entries_(entries) {
  by_path_.reserve(entries.size());
  for (const auto& entry : entries) by_path_.emplace(entry.path, &entry);
}

void TreePaths::cover(std::string_view path, std::string by) {
  std::string whole;
  std::deque<std::string> parts;
  put_before(parts, path);
  for (const auto& part : parts) whole += "/" + part;
  if (!whole.empty()) covers_.emplace(std::move(whole), std::move(by));
}

const Entry* TreePaths::entry_at(std::string_view path) const {
  const auto found = by_path_.find(in_index(path));
  if (found == by_path_.end()) return nullptr;
  if (found->second->type != EntryType::hardlink) return found->second;
  const auto target = by_path_.find(found->second->target);
  return target == by_path_.end() ? nullptr : target->second;
}

PlaceInTree TreePaths::find(std::string_view path, std::string_view from, Covers covers) const {
  std::deque<std::string> left;
  put_before(left, path);
  if (!path.starts_with('/')) put_before(left, from);
  PlaceInTree place;
  std::string at;  // "" is the root
  const Entry* entry = entry_at("");
  std::size_t followed = 0;
  const auto stop = [&](PlaceInTree::End end, const std::string& where) {
    place.end = end;
    place.path = absolute(where);
    return place;
  };
  while (!left.empty()) {
    const std::string part = std::move(left.front());
    left.pop_front();
    if (part == ".") continue;
    if (part == "..") {
      at.resize(at.empty() ? 0 : at.rfind('/'));
      entry = entry_at(at);
      continue;
    }
    if (entry == nullptr || entry->type != EntryType::directory) return stop(PlaceInTree::End::no_folder, at);
    const std::string next = at + "/" + part;
    if (const auto cover = covers_.find(next); cover != covers_.end() && covers == Covers::in_place) {
      place.hidden_by = cover->second;
      return stop(cover->second.empty() ? PlaceInTree::End::unknown : PlaceInTree::End::hidden, next);
    }
    const Entry* const found = entry_at(next);
    if (found == nullptr) return stop(PlaceInTree::End::missing, next);
    if (found->type == EntryType::symlink) {
      place.links = next + " -> " + found->target;
      if (++followed > limits::kLinksFollowedMax) return stop(PlaceInTree::End::loop, next);
      put_before(left, found->target);
      if (!found->target.starts_with('/')) continue;
      at.clear();
      entry = entry_at("");
      continue;
    }
    at = next;
    entry = found;
  }
  if (entry == nullptr) return stop(PlaceInTree::End::missing, at);
  place.entry = entry;
  return stop(PlaceInTree::End::found, at);
}

bool TreePaths::has_file(std::string_view path) const {
  const auto place = find(path);
  return place.end == PlaceInTree::End::found && place.entry->type == EntryType::file;
}

std::string what_stands_at(const PlaceInTree& place, std::string_view asked) {
  const std::string name(asked);
  const std::string by_link = place.links.empty() ? "" : " (" + place.links + ")";
  switch (place.end) {
    case PlaceInTree::End::found: break;
    case PlaceInTree::End::missing:
      if (place.links.empty()) return name + " is not in the tree";
      return name + " leads to " + place.path + ", which is not in the tree" + by_link;
    case PlaceInTree::End::loop: return name + " leads round in a circle of links" + by_link;
    case PlaceInTree::End::no_folder:
      return name + " cannot be reached, because " + place.path + " is no folder" + by_link;
    case PlaceInTree::End::hidden:
      return name + " lies in " + place.hidden_by + ", which covers " + place.path + " and is empty at its first start";
    case PlaceInTree::End::unknown: return name + " lies in what is mounted at " + place.path;
  }
  switch (place.entry->type) {
    case EntryType::directory: return name + " is a folder, not a file" + by_link;
    case EntryType::char_device:
      if (place.entry->device_major == 0 && place.entry->device_minor == 0)
        return name + " is a whiteout, which an overlay has where a file was deleted" + by_link;
      return name + " is a device node, not a file" + by_link;
    case EntryType::block_device: return name + " is a device node, not a file" + by_link;
    case EntryType::fifo: return name + " is a fifo, not a file" + by_link;
    default: return {};
  }
}

}  // namespace instar::publisher
