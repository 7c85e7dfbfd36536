#include "device-client/testing/staging_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/trust/digest.hpp"
#include "files/tree.hpp"

namespace instar::device {

StagingFixture::StagingFixture(std::string state_dir) {
  options.state_dir = std::move(state_dir);
  options.log = [this](LogLevel, const std::string& message) { log.push_back(message); };
  start();
}

void StagingFixture::start() {
  stager = std::make_unique<Stager>(options);
}

void StagingFixture::kill_and_start() {
  stager.reset();
  wants.clear();
  start();
}

void StagingFixture::open(std::uint32_t revision, const std::vector<const ArtifactFixture*>& artifacts,
                          artifact::PackKind kind, std::vector<std::uint32_t> bases) {
  opening = {};
  opening.revision = revision;
  opening.bases = std::move(bases);
  opening.manifest.issued = issued;
  for (const ArtifactFixture* published : artifacts) {
    opening.manifest.artifacts.push_back(published->artifact);
    opening.choices.push_back({published->artifact.id, published->pack(kind).id});
    for (const auto& [pack, chunks] : published->chunks) broker[pack] = chunks;
  }
  reopen();
}

void StagingFixture::reopen() {
  wants.clear();
  failed.reset();
  done = switch_due = false;
  stager->open(opening, events);
  take_events();
}

bool StagingFixture::step() {
  const bool more = stager->step(events);
  take_events();
  return more;
}

void StagingFixture::settle() {
  for (int i = 0; i < 100'000 && step(); ++i) {
  }
}

void StagingFixture::pass_time(std::int64_t ms) {
  now.value += ms;
  stager->tick(now);
}

bool StagingFixture::all_exact() const {
  return all_wanted() && std::all_of(wants.begin(), wants.end(), [](const auto& want) { return want.second.exact; });
}

bool StagingFixture::fetch_piece() {
  if (!all_wanted() || failed || switch_due) return false;
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

// As the revision machine does: another pack for what the delta could not make.
void StagingFixture::take_other_pack() {
  for (auto& choice : opening.choices) {
    if (choice.pack != unusable.back().pack) continue;
    const auto& packs = opening.manifest.artifact(choice.artifact)->packs;
    const auto other = std::ranges::find(packs, fallback, &wire::Pack::kind);
    ASSERT_NE(other, packs.end());
    choice.pack = other->id;
  }
  reopen();
}

bool StagingFixture::run(int calls_max) {
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

void StagingFixture::hand_over(const PackId& pack, wire::ChunkRange& range) {
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

void StagingFixture::take_events() {
  for (auto& event : events) {
    if (auto* want = std::get_if<revision::StagingWants>(&event)) {
      check(*want);
      wants[want->pack] = std::move(*want);
    } else if (const auto* one = std::get_if<revision::ChunkDurable>(&event)) {
      durable.insert({one->pack, one->ordinal});
    } else if (const auto* no = std::get_if<revision::ChunkRefused>(&event)) {
      refused.push_back(*no);
      // As the revision machine does: the chunk is fetched once more, from its start.
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

// Checks what every StagingWants promises: ranges in order, each chunk with its size, none that is durable.
void StagingFixture::check(const revision::StagingWants& want) const {
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

std::string tree_of(const StagingFixture& device, std::uint32_t revision, const ArtifactFixture& published) {
  return device.stager->tree_path(revision, published.artifact.id);
}

void expect_tree(const std::string& path, const TreeFixture& expected) {
  files::TreeOptions options;
  options.rules.devices_allowed = true;
  options.keep_times = std::ranges::any_of(expected.entries, [](const auto& entry) { return entry.time.has_value(); });
  const auto read = files::read_tree(path, options);
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
  auto got = resolved(*read);
  const auto want = resolved(expected.entries);
  for (const auto& [name, entry] : want) {
    ASSERT_TRUE(got.contains(name)) << name << " is missing";
    if (!entry.time) got.at(name).time.reset();
    EXPECT_EQ(got.at(name), entry) << name;
  }
  EXPECT_EQ(got.size(), want.size());
}

std::set<std::string> paths_outside(const std::string& root) {
  std::set<std::string> paths;
  files::TreeOptions options;
  options.rules.devices_allowed = true;
  const auto read = files::read_tree(root, options);
  if (!read) return paths;
  for (const auto& entry : *read) {
    if (!entry.path.starts_with("state")) paths.insert(entry.path);
  }
  return paths;
}

}  // namespace instar::device
