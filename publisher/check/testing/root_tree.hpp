// A root file system in memory, for tests: the entries of its index, and the contents of its files.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "publisher/check/testing/elf_maker.hpp"
#include "publisher/check/tree_paths.hpp"

namespace instar::publisher {

class RootTree final : public TreeContent {
 public:
  RootTree() { entries_[""].type = artifact::EntryType::directory; }

  RootTree& file(const std::string& path, ByteView content, std::uint16_t mode = 0755) {
    auto& entry = add(path, artifact::EntryType::file);
    entry.mode = mode;
    entry.size = content.size();
    contents_[path] = to_bytes(content);
    return *this;
  }
  RootTree& script(const std::string& path, std::string_view text, std::uint16_t mode = 0755) {
    return file(path, as_bytes(text), mode);
  }
  RootTree& elf(const std::string& path, const MadeElf& made = {}) { return file(path, make_elf(made)); }
  // A program that needs nothing.
  RootTree& program(const std::string& path) { return elf(path, {.type = ET_EXEC, .loader = ""}); }
  // A library of the usual machine, which needs `needed`.
  RootTree& library(const std::string& path, std::vector<std::string> needed = {}) {
    return elf(path, {.loader = "", .needed = std::move(needed), .entry = 0});
  }
  RootTree& link(const std::string& path, const std::string& target) {
    add(path, artifact::EntryType::symlink).target = target;
    return *this;
  }
  RootTree& hard_link(const std::string& path, const std::string& target) {
    add(path, artifact::EntryType::hardlink).target = target;
    return *this;
  }
  RootTree& folder(const std::string& path) {
    add(path, artifact::EntryType::directory);
    return *this;
  }
  artifact::Entry& add(const std::string& path, artifact::EntryType type) {
    for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      auto& parent = entries_[path.substr(0, slash)];
      parent.path = path.substr(0, slash);
      parent.type = artifact::EntryType::directory;
      parent.mode = 0755;
    }
    auto& entry = entries_[path];
    entry = artifact::Entry{};
    entry.path = path;
    entry.type = type;
    return entry;
  }

  [[nodiscard]] std::vector<artifact::Entry> entries() const {
    std::vector<artifact::Entry> out;
    for (const auto& [path, entry] : entries_) out.push_back(entry);
    return out;
  }

  Result<Bytes> read(const artifact::Entry& entry, std::uint64_t offset, std::size_t size) override {
    const auto& content = contents_.at(entry.path);
    if (offset >= content.size()) return Bytes{};
    const auto rest = ByteView(content).subspan(static_cast<std::size_t>(offset));
    return to_bytes(rest.first(std::min(size, rest.size())));
  }

 private:
  std::map<std::string, artifact::Entry> entries_;
  std::map<std::string, Bytes> contents_;
};

}  // namespace instar::publisher
