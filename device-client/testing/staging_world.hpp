// What the stager's tests are made of: trees in memory, published as packs, and a fetcher that does what the revision
// machine would do with the stager's events.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/trust/digest.hpp"
#include "device-client/staging/stager.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"
#include "files/tree.hpp"

namespace instar::device::testing_world {

// Same bytes on any machine; compresses a little.
inline Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (auto& byte : bytes) {
    state = state * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<std::uint8_t>((state >> 56) & 0x7f);
  }
  return bytes;
}

// A tree as entries and contents. Add paths in index order.
struct TreeSpec {
  std::vector<artifact::Entry> entries;
  std::map<std::string, Bytes> contents;

  TreeSpec() { folder(""); }
  artifact::Entry& add(std::string path, artifact::EntryType type) {
    artifact::Entry entry;
    entry.path = std::move(path);
    entry.type = type;
    entries.push_back(entry);
    return entries.back();
  }
  artifact::Entry& folder(const std::string& path, std::uint16_t mode = 0755) {
    auto& entry = add(path, artifact::EntryType::directory);
    entry.mode = mode;
    return entry;
  }
  artifact::Entry& file(const std::string& path, const Bytes& content, std::uint16_t mode = 0644) {
    auto& entry = add(path, artifact::EntryType::file);
    entry.mode = mode;
    entry.size = content.size();
    entry.content = trust::digest(content);
    contents[path] = content;
    return entry;
  }
  // That of an image whose file has this content.
  static TreeSpec image(const Bytes& content) {
    TreeSpec tree;
    tree.file("image", content);
    return tree;
  }
  artifact::Entry& symlink(const std::string& path, const std::string& target) {
    auto& entry = add(path, artifact::EntryType::symlink);
    entry.target = target;
    return entry;
  }
  artifact::Entry& hardlink(const std::string& path, const std::string& target) {
    auto& entry = add(path, artifact::EntryType::hardlink);
    entry.target = target;
    return entry;
  }
};

// An artifact with its packs, as a broker would hold them.
struct Published : artifact::ContentSource, artifact::PackSink {
  TreeSpec tree;
  wire::Artifact artifact;
  Bytes index;
  std::map<Hash256, std::vector<Bytes>> chunks;  // by pack, encoded, by ordinal
  std::map<Hash256, Bytes> directories;          // by pack

  explicit Published(TreeSpec spec) : tree(std::move(spec)) {
    artifact::IndexWriter writer(index, {.devices_allowed = true});
    for (const auto& entry : tree.entries) {
      const auto status = writer.append(entry);
      EXPECT_TRUE(status) << status.error().message;
    }
    const auto id = writer.finish();
    EXPECT_TRUE(id);
    publish(*id);
  }
  // An index that no writer would make.
  Published(TreeSpec spec, Bytes raw_index) : tree(std::move(spec)), index(std::move(raw_index)) {
    publish(trust::digest(index));
  }

  [[nodiscard]] const wire::Pack& pack(artifact::PackKind kind) const {
    const auto found = std::ranges::find(artifact.packs, kind, &wire::Pack::kind);
    EXPECT_NE(found, artifact.packs.end());
    return *found;
  }

  Result<std::size_t> read(const artifact::Entry& entry, std::uint64_t offset, std::span<std::uint8_t> out) override {
    const Bytes& content = tree.contents.at(entry.path);
    const std::size_t count = std::min<std::size_t>(out.size(), content.size() - offset);
    std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
    return count;
  }
  // The manifest calls it an image, whatever it is.
  Published& as_image() {
    artifact.kind = wire::ArtifactKind::image;
    artifact.image_format = wire::ImageFormat::squashfs;
    return *this;
  }
  Status put(bool head, std::uint32_t, const artifact::ChunkRef&, ByteView encoded) override {
    (head ? head_ : body_).push_back(to_bytes(encoded));
    return {};
  }

 private:
  void publish(const Hash256& id) {
    artifact.id = id;
    artifact.index_bytes = static_cast<std::uint32_t>(index.size());
    artifact.entry_count = static_cast<std::uint32_t>(tree.entries.size());
    for (const auto& file : artifact::stream_files(tree.entries)) artifact.content_bytes += file.size;
    for (const auto kind : {artifact::PackKind::full, artifact::PackKind::dedupe}) {
      head_.clear();
      body_.clear();
      const auto directory =
          artifact::make_pack(index, tree.entries, *this, *this, {.kind = kind, .level = 1, .progress = {}});
      EXPECT_TRUE(directory);
      wire::Pack pack;
      pack.kind = kind;
      auto encoded = artifact::encode_directory(*directory);
      pack.id = trust::digest(encoded);
      directories[pack.id] = std::move(encoded);
      pack.head.assign(directory->chunks.begin(), directory->chunks.begin() + directory->head_count);
      pack.body_count = static_cast<std::uint32_t>(body_.size());
      pack.head_bytes = directory->head_bytes();
      pack.body_bytes = directory->body_bytes();
      artifact.packs.push_back(pack);
      auto& all = chunks[pack.id];
      all = head_;
      all.insert(all.end(), body_.begin(), body_.end());
    }
  }

  std::vector<Bytes> head_;
  std::vector<Bytes> body_;
};

// One device's disk with its stager, and the part of the machine that fetches.
class Device {
 public:
  explicit Device(std::string state_dir) : state_dir_(std::move(state_dir)) {
    options.state_dir = state_dir_;
    options.log = [this](int, const std::string& message) { log.push_back(message); };
    start();
  }
  void start() { stager = std::make_unique<Stager>(options); }
  // What kill -9 leaves: the files as they are.
  void kill_and_start() {
    stager.reset();
    wants.clear();
    start();
  }

  void open(std::uint32_t revision, const std::vector<const Published*>& artifacts, artifact::PackKind kind,
            std::vector<std::uint32_t> bases = {}) {
    opening = {};
    opening.revision = revision;
    opening.bases = std::move(bases);
    for (const Published* published : artifacts) {
      opening.manifest.artifacts.push_back(published->artifact);
      opening.choices.push_back({published->artifact.id, published->pack(kind).id});
      for (const auto& [pack, chunks] : published->chunks) broker[pack] = chunks;
    }
    reopen();
  }
  void reopen() {
    wants.clear();
    failed.reset();
    done = switch_due = false;
    stager->open(opening, events);
    take_events();
  }
  // One step of the stager. False when it has nothing to do.
  bool step() {
    const bool more = stager->step(events);
    take_events();
    return more;
  }
  void settle() {
    for (int i = 0; i < 100'000 && step(); ++i) {
    }
  }
  void pass_time(std::int64_t ms) {
    now.value += ms;
    stager->tick(now);
  }
  [[nodiscard]] bool all_told() const { return wants.size() == opening.choices.size(); }
  [[nodiscard]] bool all_exact() const {
    return all_told() && std::all_of(wants.begin(), wants.end(), [](const auto& want) { return want.second.exact; });
  }

  // Hands over the next piece of a wanted chunk. False when nothing is wanted.
  bool fetch_piece() {
    if (!all_told() || failed || switch_due) return false;
    for (auto& [pack, want] : wants) {
      if (want.exact && !all_exact()) continue;
      for (auto& range : want.ranges) {
        for (; range.count > 0; ++range.first, --range.count, range.offset = 0) {
          if (durable.contains({pack, range.first})) continue;
          hand_over(pack, range);
          return true;
        }
      }
    }
    return false;
  }
  // As the machine: another pack for what the delta could not make.
  void take_other_pack() {
    for (auto& choice : opening.choices) {
      if (choice.pack != unusable.back().pack) continue;
      const auto& packs = opening.manifest.artifact(choice.artifact)->packs;
      const auto other = std::ranges::find(packs, fallback, &wire::Pack::kind);
      ASSERT_NE(other, packs.end());
      choice.pack = other->id;
    }
    reopen();
  }
  // To the end, or to a failure, or until so many calls of the stager have been made. True when it stopped for the
  // latter.
  bool run(int calls_max = 100'000) {
    bool asked = false;
    for (int calls = 0; !done && !failed; ++calls) {
      if (calls == calls_max) return true;
      if (switch_due) {
        take_other_pack();
        asked = false;
      }
      if (step()) continue;
      if (fetch_piece()) {
        asked = false;
        continue;
      }
      pass_time(2'000);
      if (all_exact() && !asked) {
        stager->finish({opening.revision}, events);
        asked = true;
      }
    }
    return false;
  }

  std::string state_dir_;
  StagerOptions options;
  std::unique_ptr<Stager> stager;
  revision::OpenStaging opening;
  std::map<Hash256, std::vector<Bytes>> broker;
  StagingEvents events;
  std::map<Hash256, revision::StagingWants> wants;
  std::set<std::pair<Hash256, std::uint32_t>> durable;  // told durable
  std::vector<revision::ChunkRefused> refused;
  std::vector<revision::PackUnusable> unusable;
  artifact::PackKind fallback = artifact::PackKind::dedupe;
  bool switch_due = false;
  std::optional<Error> failed;
  bool done = false;
  std::uint64_t bytes_fetched = 0;
  std::uint64_t chunks_fetched = 0;
  std::uint32_t piece_bytes = 32 * 1024;
  MonotonicMs now;
  std::vector<std::string> log;
  std::map<Hash256, int> fetches;  // whole chunks by their encoded bytes

 private:
  void hand_over(const PackId& pack, wire::ChunkRange& range) {
    const Bytes& chunk = broker.at(pack).at(range.first);
    revision::StagePiece piece{opening.revision, pack, range.first, range.offset, {}};
    const std::size_t size = std::min<std::size_t>(piece_bytes, chunk.size() - range.offset);
    const auto start = chunk.begin() + static_cast<std::ptrdiff_t>(range.offset);
    piece.data.assign(start, start + static_cast<std::ptrdiff_t>(size));
    range.offset += static_cast<std::uint32_t>(size);
    bytes_fetched += size;
    if (range.offset == chunk.size()) {
      ++range.first;
      --range.count;
      range.offset = 0;
      ++chunks_fetched;
      ++fetches[trust::digest(chunk)];
    }
    stager->piece(piece, events);
    take_events();
  }

  void take_events() {
    for (auto& event : events) {
      if (auto* want = std::get_if<revision::StagingWants>(&event)) {
        check(*want);
        wants[want->pack] = std::move(*want);
      } else if (const auto* one = std::get_if<revision::ChunkDurable>(&event)) {
        durable.insert({one->pack, one->ordinal});
      } else if (const auto* no = std::get_if<revision::ChunkRefused>(&event)) {
        refused.push_back(*no);
        // As the machine: once more, from its start.
        auto& ranges = wants[no->pack].ranges;
        ranges.insert(ranges.begin(), {no->ordinal, 1, 0});
      } else if (const auto* falls_short = std::get_if<revision::PackUnusable>(&event)) {
        unusable.push_back(*falls_short);
        switch_due = switch_due || falls_short->now;
      } else if (const auto* failure = std::get_if<revision::StagingFailed>(&event)) {
        failed = failure->error;
      } else if (std::holds_alternative<revision::StagingDone>(event)) {
        done = true;
      }
    }
    events.clear();
  }

  // What machine.hpp promises of every StagingWants.
  void check(const revision::StagingWants& want) const {
    std::size_t count = 0;
    std::uint64_t bytes = 0;
    std::uint32_t next = 0;
    for (const auto& range : want.ranges) {
      EXPECT_GE(range.first, next);
      next = range.first + range.count;
      for (std::uint32_t i = 0; i < range.count; ++i) {
        const std::uint32_t size = want.chunk_bytes.at(count++);
        bytes += size;
        EXPECT_EQ(size, broker.at(want.pack).at(range.first + i).size());
        if (i == 0) {
          EXPECT_LT(range.offset, size);
        }
        EXPECT_FALSE(durable.contains({want.pack, range.first + i})) << "chunk " << range.first + i << " is durable";
      }
    }
    EXPECT_EQ(count, want.chunk_bytes.size());
    EXPECT_EQ(bytes, want.bytes_wanted);
  }
};

inline std::string tree_of(const Device& device, std::uint32_t revision, const Published& published) {
  return device.stager->tree_path(revision, published.artifact.id);
}

// The staged tree, entry for entry.
inline void expect_tree(const std::string& path, const TreeSpec& spec) {
  const auto read = files::read_tree(path, {.rules = {.devices_allowed = true}, .progress = {}});
  ASSERT_TRUE(read) << read.error().message;
  const auto resolved = [](const std::vector<artifact::Entry>& entries) {
    std::map<std::string, artifact::Entry> by_path;
    for (const auto& entry : entries) {
      if (entry.type == artifact::EntryType::hardlink) {
        by_path[entry.path] = by_path.at(entry.target);
        by_path[entry.path].path = entry.path;
      } else {
        by_path[entry.path] = entry;
      }
    }
    return by_path;
  };
  const auto got = resolved(*read);
  const auto want = resolved(spec.entries);
  for (const auto& [name, entry] : want) {
    ASSERT_TRUE(got.contains(name)) << name << " is missing";
    EXPECT_EQ(got.at(name), entry) << name;
  }
  EXPECT_EQ(got.size(), want.size());
}

// Every path below `root` but below `root/revisions`, to show that nothing was written outside.
inline std::set<std::string> outside(const std::string& root) {
  std::set<std::string> paths;
  const auto read = files::read_tree(root, {.rules = {.devices_allowed = true}, .progress = {}});
  if (!read) return paths;
  for (const auto& entry : *read) {
    if (!entry.path.starts_with("state")) paths.insert(entry.path);
  }
  return paths;
}

}  // namespace instar::device::testing_world
