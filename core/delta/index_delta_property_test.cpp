// Random pairs of trees: base and delta always give exactly the bytes of the other tree's index.
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <set>

#include "core/delta/index_delta.hpp"
#include "core/delta/testing/delta_fixture.hpp"

namespace instar::delta {
namespace {

using namespace fixture;

struct PathOrder {
  bool operator()(const std::string& left, const std::string& right) const {
    return artifact::path_before(left, right);
  }
};
using Tree = std::map<std::string, Entry, PathOrder>;

class Gardener {
 public:
  explicit Gardener(std::uint64_t seed) : random_(seed) {}

  Tree grow(std::size_t entries) {
    Tree tree;
    tree[""] = folder("");
    for (std::size_t i = 0; i < entries; ++i) add(tree);
    return sound(tree);
  }

  // Another tree out of this one, by `changes` changes.
  Tree change(Tree tree, std::size_t changes) {
    for (std::size_t i = 0; i < changes; ++i) {
      switch (below(8)) {
        case 0:
        case 1: add(tree); break;
        case 2: remove(tree); break;
        case 3: rename(tree); break;
        case 4: tree[any(tree)].path.empty() ? add(tree) : change_type(tree); break;
        case 5: change_metadata(tree); break;
        default: change_content(tree); break;
      }
    }
    return sound(tree);
  }

  std::size_t below(std::size_t bound) { return random_() % bound; }

 private:
  std::string name() {
    static constexpr const char* kNames[] = {"a",   "b",   "lib",      "lib-1.2",  "lib-1.3",
                                             "a.c", "x y", "6.1.0-28", "6.1.0-29", "\xc3\xa4"};
    return kNames[below(std::size(kNames))];
  }
  std::string any(const Tree& tree) {
    return std::next(tree.begin(), static_cast<std::ptrdiff_t>(below(tree.size())))->first;
  }
  std::string any_folder(const Tree& tree) {
    const std::string path = any(tree);
    return tree.at(path).type == EntryType::directory ? path : std::string(parent_of(path));
  }
  void fill(Entry& file) {
    const std::string content(below(12), 'x');  // few contents, one of them empty
    file.size = content.size();
    file.content = trust::digest(as_bytes(content));
  }
  void metadata(Entry& entry) {
    if (entry.type == EntryType::hardlink) return;
    entry.uid = static_cast<std::uint32_t>(below(3) * 1000);
    entry.gid = below(2) == 0 ? 0 : 0xffffffff;
    if (entry.type == EntryType::symlink) return;
    entry.mode = static_cast<std::uint16_t>(below(2) == 0 ? 0755 : 04711);
    if (entry.type != EntryType::file && entry.type != EntryType::directory) return;
    entry.xattrs.clear();
    if (below(4) == 0) entry.xattrs.push_back({"user.a", Bytes(below(300))});
    if (below(4) == 0) entry.xattrs.push_back({"user.b", to_bytes("b")});
    entry.time.reset();
    if (below(4) == 0) entry.time = static_cast<std::uint32_t>(below(3) * 1'000'000'000);
  }
  Entry entry_at(std::string path, const Tree& tree) {
    Entry entry;
    entry.path = std::move(path);
    entry.type = static_cast<EntryType>(below(9) % 7);  // more folders and files
    switch (entry.type) {
      case EntryType::file: fill(entry); break;
      case EntryType::symlink: entry.target = below(2) == 0 ? name() : "/" + any(tree); break;
      case EntryType::hardlink: entry.target = any(tree); break;
      case EntryType::char_device:
      case EntryType::block_device:
        entry.device_major = static_cast<std::uint32_t>(below(300));
        entry.device_minor = static_cast<std::uint32_t>(below(300));
        break;
      default: break;
    }
    if (entry.type != EntryType::symlink && entry.type != EntryType::hardlink) entry.mode = 0644;
    if (below(3) == 0) metadata(entry);
    return entry;
  }
  void add(Tree& tree) {
    const std::string parent = any_folder(tree);
    const std::string path = parent.empty() ? name() : parent + "/" + name();
    if (!tree.contains(path)) tree[path] = entry_at(path, tree);
  }
  void remove(Tree& tree) {
    const std::string path = any(tree);
    if (!path.empty()) tree.erase(path);  // what it holds goes too: sound()
  }
  void rename(Tree& tree) {
    const std::string from = any(tree);
    if (from.empty()) return;
    const std::string parent = below(3) == 0 ? any_folder(tree) : std::string(parent_of(from));
    const std::string to = parent.empty() ? name() : parent + "/" + name();
    const auto moved = [&](const std::string& path) {
      return path == from || path.starts_with(from + "/") ? to + path.substr(from.size()) : path;
    };
    Tree next;
    for (auto& [path, entry] : tree) {
      entry.path = moved(path);
      if (entry.type == EntryType::hardlink) entry.target = moved(entry.target);
      next[entry.path] = entry;
    }
    tree = next;
  }
  void change_type(Tree& tree) {
    const std::string path = any(tree);
    if (!path.empty()) tree[path] = entry_at(path, tree);
  }
  void change_metadata(Tree& tree) {
    Entry& entry = tree[any(tree)];
    metadata(entry);
    if (entry.type == EntryType::symlink && below(2) == 0) entry.target += "2";
    if (entry.type == EntryType::char_device) entry.device_minor ^= 1U;
  }
  void change_content(Tree& tree) {
    Entry& entry = tree[any(tree)];
    if (entry.type == EntryType::file) fill(entry);
  }
  // Without what stands in no folder, leads out, or links to no file.
  static Tree sound(const Tree& tree) {
    Tree result;
    for (const auto& [path, entry] : tree) {
      const auto parent = result.find(std::string(parent_of(path)));
      if (!path.empty() && (parent == result.end() || parent->second.type != EntryType::directory)) continue;
      const auto target = result.find(entry.target);
      if (entry.type == EntryType::hardlink && (target == result.end() || target->second.type != EntryType::file))
        continue;
      if (path.size() > 900 || std::count(path.begin(), path.end(), '/') > 100) continue;
      result[path] = entry;
    }
    return result;
  }

  std::mt19937_64 random_;
};

Entries listed(const Tree& tree) {
  Entries entries;
  for (const auto& [path, entry] : tree) entries.push_back(entry);
  return entries;
}

void expect_rebuilt(const Entries& base, const Entries& fresh, std::size_t step) {
  const auto delta = make_index_delta(base, fresh);
  ASSERT_TRUE(delta) << delta.error().message;
  const auto rebuilt = rebuild(base, delta->bytes, carried(*delta), step);
  ASSERT_TRUE(rebuilt) << rebuilt.error().message;
  ASSERT_EQ(to_hex(*rebuilt), to_hex(*index_of(fresh)));

  // Maker and reader give the same entries. Each distinct content is decoded once, and never one that the base has.
  std::set<Hash256> known;
  for (const Entry& entry : base) known.insert(entry.content);
  auto read = read_delta(base, delta->bytes, step);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), delta->entries.size());
  for (std::size_t i = 0; i < read->size(); ++i) {
    NewEntry said = (*read)[i];
    if (said.entry.content.is_zero()) {
      said.entry.size = fresh[i].size;
      said.entry.content = fresh[i].content;
    }
    ASSERT_EQ(said, delta->entries[i]) << said.entry.path;
    ASSERT_EQ(said.entry, fresh[i]);
    if (said.from == ContentFrom::decode) {
      ASSERT_TRUE(known.insert(said.entry.content).second) << said.entry.path;
    }
  }
}

TEST(IndexDeltaProperty, RebuildsATreeThatWasChanged) {
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    Gardener gardener(seed);
    const Tree base = gardener.grow(gardener.below(100));
    const Tree fresh = gardener.change(base, gardener.below(20));
    expect_rebuilt(listed(base), listed(fresh), 1 + gardener.below(40));
    if (HasFatalFailure()) return;
  }
}

TEST(IndexDeltaProperty, RebuildsATreeThatHasNothingToDoWithItsBase) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    Gardener gardener(seed);
    const Entries one = listed(gardener.grow(gardener.below(60)));
    const Entries two = listed(gardener.grow(gardener.below(60)));
    for (const Entries& base : {one, Entries{folder("")}}) {
      expect_rebuilt(base, two, 1000);
      expect_rebuilt(two, base, 1000);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(IndexDeltaProperty, OfATreeAndItselfIsTwoBytes) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Entries tree = listed(Gardener(seed).grow(60));
    expect_rebuilt(tree, tree, 1000);
    if (HasFatalFailure()) return;
    EXPECT_EQ(make_index_delta(tree, tree)->bytes.size(), 2U);
  }
}

TEST(IndexDeltaProperty, RebuildsLargeTrees) {
  Gardener gardener(7);
  const Tree base = gardener.grow(6000);
  const Tree fresh = gardener.change(base, 200);
  EXPECT_GT(base.size(), 1500U);
  EXPECT_GT(fresh.size(), 1000U);
  expect_rebuilt(listed(base), listed(fresh), 1000);
}

}  // namespace
}  // namespace instar::delta
