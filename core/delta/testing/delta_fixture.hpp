// For tests: trees in memory, and a device that rebuilds an index from its base and a delta.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/delta/index_delta.hpp"
#include "core/trust/digest.hpp"

namespace instar::delta::fixture {

using artifact::Entry;
using artifact::EntryType;
using Entries = std::vector<Entry>;

inline Entry folder(std::string path, std::uint16_t mode = 0755) {
  Entry entry;
  entry.path = std::move(path);
  entry.type = EntryType::directory;
  entry.mode = mode;
  return entry;
}

inline Entry file(std::string path, std::string_view content = "hello\n", std::uint16_t mode = 0644) {
  Entry entry;
  entry.path = std::move(path);
  entry.mode = mode;
  entry.size = content.size();
  entry.content = trust::digest(as_bytes(content));
  return entry;
}

inline Entry link(EntryType type, std::string path, std::string target) {
  Entry entry;
  entry.path = std::move(path);
  entry.type = type;
  entry.target = std::move(target);
  return entry;
}

inline constexpr artifact::IndexRules kAllRules{.devices_allowed = true};

inline Result<Bytes> index_of(const Entries& entries) {
  Bytes bytes;
  artifact::IndexWriter writer(bytes, kAllRules);
  for (const Entry& entry : entries) INSTAR_CHECK(writer.append(entry));
  INSTAR_TRY([[maybe_unused]] const ArtifactId id, writer.finish());
  return bytes;
}

inline IndexDeltaReader::BaseEntries base_of(const Entries& entries) {
  return [&entries, at = std::size_t{0}]() mutable -> Result<const Entry*> {
    return at < entries.size() ? &entries[at++] : nullptr;
  };
}

// At most `step` bytes at a time.
inline IndexDeltaReader::DeltaBytes bytes_of(ByteView bytes, std::size_t step = 1'000'000) {
  return [bytes, step](std::span<std::uint8_t> room) mutable -> Result<std::size_t> {
    const std::size_t count = std::min({room.size(), bytes.size(), step});
    std::copy_n(bytes.begin(), count, room.begin());
    bytes = bytes.subspan(count);
    return count;
  };
}

// As from the reader, where sizes and hashes are still missing.
inline Result<std::vector<NewEntry>> read_delta(const Entries& base, ByteView delta, std::size_t step = 1'000'000) {
  IndexDeltaReader reader(base_of(base), bytes_of(delta, step), kAllRules);
  std::vector<NewEntry> entries;
  while (true) {
    INSTAR_TRY(const NewEntry* const entry, reader.next());
    if (entry == nullptr) return entries;
    entries.push_back(*entry);
  }
}

// The contents that a pack carries, in its order, as size and hash.
using Content = std::pair<std::uint64_t, Hash256>;
inline std::vector<Content> carried(const IndexDelta& delta) {
  std::vector<Content> contents;
  for (const NewEntry& entry : delta.entries) {
    if (entry.from == ContentFrom::decode) contents.emplace_back(entry.entry.size, entry.entry.content);
  }
  return contents;
}

// Does the work of a device: fills in what the delta does not have from the base, from earlier files of the new tree,
// and from the pack.
inline Result<Bytes> rebuild(const Entries& base, ByteView delta, std::span<const Content> pack,
                             std::size_t step = 1'000'000) {
  std::map<std::string, Content> of_base;
  for (const Entry& entry : base) {
    if (entry.type == EntryType::file) of_base[entry.path] = {entry.size, entry.content};
  }
  std::map<std::string, Content> laid_out;
  Bytes bytes;
  artifact::IndexRules rules = kAllRules;
  rules.hardlinks_looked_up = false;
  artifact::IndexWriter writer(bytes, rules);
  IndexDeltaReader reader(base_of(base), bytes_of(delta, step), rules);
  while (true) {
    INSTAR_TRY(const NewEntry* const next, reader.next());
    if (next == nullptr) break;
    Entry entry = next->entry;
    Content content{entry.size, entry.content};
    switch (next->from) {
      case ContentFrom::none:
      case ContentFrom::base: break;
      case ContentFrom::base_path:
        if (!of_base.contains(next->source)) return fail(Code::not_found, next->source);
        content = of_base[next->source];
        if (!entry.content.is_zero() && content.second != entry.content) return fail(Code::corrupt, next->source);
        break;
      case ContentFrom::earlier:
        if (!laid_out.contains(next->source)) return fail(Code::not_found, next->source);
        content = laid_out[next->source];
        break;
      case ContentFrom::decode:
        if (pack.empty()) return fail(Code::not_found, "the pack has no more files");
        content = pack.front();
        pack = pack.subspan(1);
        break;
    }
    entry.size = content.first;
    entry.content = content.second;
    if (entry.type == EntryType::file) laid_out[entry.path] = content;
    INSTAR_CHECK(writer.append(entry));
  }
  if (!pack.empty()) return fail(Code::malformed, "the pack has files that nobody wants");
  INSTAR_TRY([[maybe_unused]] const ArtifactId id, writer.finish());
  return bytes;
}

}  // namespace instar::delta::fixture
