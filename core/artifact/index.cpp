#include "core/artifact/index.hpp"

#include <algorithm>

#include "core/artifact/entry_fields.hpp"
#include "core/artifact/varint.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::artifact {
namespace {

constexpr std::uint8_t kIndexMagic[5] = {'I', 'N', 'S', 'I', 1};
constexpr std::uint8_t kTrailerTag = 0xff;
constexpr std::size_t kPieceBytes = 4096;  // handed over at once by a writer
void append_fields(Bytes& out, const Entry& entry) {
  switch (entry.type) {
    case EntryType::hardlink: append_text(out, entry.target); return;
    case EntryType::symlink:
      append_owner(out, entry);
      append_text(out, entry.target);
      return;
    default: break;
  }
  append_varint(out, entry.mode);
  append_owner(out, entry);
  switch (entry.type) {
    case EntryType::directory: append_xattrs(out, entry); return;
    case EntryType::file:
      append_xattrs(out, entry);
      append_varint(out, entry.size);
      out.insert(out.end(), entry.content.bytes.begin(), entry.content.bytes.end());
      return;
    case EntryType::char_device:
    case EntryType::block_device: append_device(out, entry); return;
    default: return;
  }
}

void read_fields(ByteCursor& cursor, Entry& entry) {
  const auto read_target = [&] { return std::string(as_text(cursor.text(limits::kPathBytesMax, "a link target"))); };
  switch (entry.type) {
    case EntryType::hardlink: entry.target = read_target(); return;
    case EntryType::symlink:
      read_owner(cursor, entry);
      entry.target = read_target();
      return;
    default: break;
  }
  read_mode(cursor, entry);
  read_owner(cursor, entry);
  switch (entry.type) {
    case EntryType::directory: read_xattrs(cursor, entry); return;
    case EntryType::file:
      read_xattrs(cursor, entry);
      entry.size = cursor.varint(limits::kContentBytesMax, "a file size");
      if (const auto hash = Hash256::from_bytes(cursor.take(32))) entry.content = *hash;
      return;
    case EntryType::char_device:
    case EntryType::block_device: read_device(cursor, entry); return;
    default: return;
  }
}

void read_path(ByteCursor& cursor, const std::string& previous, Entry& entry) {
  const std::uint64_t shared = cursor.varint(limits::kPathBytesMax, "a shared prefix");
  const std::string_view rest = as_text(cursor.text(limits::kPathBytesMax, "a path"));
  if (cursor.starved() || cursor.broken()) return;
  if (shared > previous.size()) {
    cursor.break_off(Code::malformed, "a path shares more bytes than the path before it has");
    return;
  }
  entry.path = previous.substr(0, static_cast<std::size_t>(shared)) + std::string(rest);
  if (shared_bytes(previous, entry.path) != shared) {
    cursor.break_off(Code::malformed, "a path shares fewer bytes with the one before it than it could");
  }
}

}  // namespace

IndexWriter::IndexWriter(Sink sink, IndexRules rules)
    : sink_(std::move(sink)), checker_(rules), pending_(std::begin(kIndexMagic), std::end(kIndexMagic)) {}

IndexWriter::IndexWriter(Bytes& out, IndexRules rules)
    : IndexWriter(
          [&out](ByteView piece) -> Status {
            out.insert(out.end(), piece.begin(), piece.end());
            return {};
          },
          rules) {}

Status IndexWriter::append(const Entry& entry) {
  INSTAR_CHECK(checker_.check(entry));
  const std::size_t shared = shared_bytes(previous_path_, entry.path);
  pending_.push_back(static_cast<std::uint8_t>(entry.type));
  append_varint(pending_, shared);
  append_text(pending_, std::string_view(entry.path).substr(shared));
  append_fields(pending_, entry);
  previous_path_ = entry.path;
  return pending_.size() < kPieceBytes ? Status{} : hand_over();
}

Status IndexWriter::hand_over() {
  byte_count_ += pending_.size();
  if (byte_count_ > limits::kIndexBytesMax) {
    return fail(Code::too_large,
                "the index has more than " + std::to_string(limits::kIndexBytesMax) + " bytes: split the tree");
  }
  hasher_.update(pending_);
  INSTAR_CHECK(sink_(pending_));
  pending_.clear();
  return {};
}

Result<ArtifactId> IndexWriter::finish() {
  if (checker_.entry_count() == 0) return fail(Code::invalid_argument, "an index needs at least the root folder");
  pending_.push_back(kTrailerTag);
  append_varint(pending_, checker_.entry_count());
  INSTAR_CHECK(hand_over());
  return ArtifactId(hasher_.finish());
}

IndexReader::IndexReader(Visitor visit, IndexRules rules) : visit_(std::move(visit)), checker_(rules) {}

Status IndexReader::feed(ByteView piece) {
  byte_count_ += piece.size();
  if (byte_count_ > limits::kIndexBytesMax) {
    return fail(Code::too_large, "the index has more than " + std::to_string(limits::kIndexBytesMax) + " bytes");
  }
  hasher_.update(piece);
  return pending_.feed(piece, [this](ByteView bytes) { return read_one(bytes); });
}

Result<std::size_t> IndexReader::read_one(ByteView bytes) {
  if (trailer_seen_) return fail(Code::malformed, "the index goes on after its end");
  ByteCursor cursor(bytes);
  if (!header_seen_) {
    const ByteView magic = cursor.take(sizeof kIndexMagic);
    if (cursor.starved()) return 0;
    if (!std::equal(magic.begin(), magic.begin() + 4, std::begin(kIndexMagic)))
      return fail(Code::malformed, "this is not an index");
    if (magic[4] != kIndexMagic[4]) {
      return fail(Code::unsupported, "the index has version " + std::to_string(magic[4]) + "; this version reads 1");
    }
    header_seen_ = true;
    return cursor.position();
  }
  const std::uint8_t tag = cursor.byte();
  if (tag == kTrailerTag) {
    const std::uint64_t count = cursor.varint(kLargestNumber, "the number of entries");
    if (cursor.starved()) return 0;
    if (cursor.broken()) return fail(cursor.error());
    if (count == 0 || count != checker_.entry_count())
      return fail(Code::malformed, "the index has lost entries or has too many");
    trailer_seen_ = true;
    return cursor.position();
  }
  if (tag > static_cast<std::uint8_t>(EntryType::fifo))
    return fail(Code::malformed, "the index has an entry of an unknown type");
  Entry entry;
  entry.type = static_cast<EntryType>(tag);
  read_path(cursor, previous_path_, entry);
  read_fields(cursor, entry);
  if (cursor.starved()) return 0;
  if (cursor.broken()) return fail(cursor.error());
  INSTAR_CHECK(checker_.check(entry));
  INSTAR_CHECK(visit_(entry));
  previous_path_ = std::move(entry.path);
  return cursor.position();
}

Result<ArtifactId> IndexReader::finish() {
  if (!trailer_seen_ || !pending_.empty()) return fail(Code::malformed, "the index ends too early");
  return ArtifactId(hasher_.finish());
}

Result<std::vector<Entry>> read_index(ByteView bytes, IndexRules rules) {
  std::vector<Entry> entries;
  IndexReader reader(
      [&](const Entry& entry) -> Status {
        entries.push_back(entry);
        return {};
      },
      rules);
  INSTAR_CHECK(reader.feed(bytes));
  INSTAR_TRY([[maybe_unused]] const ArtifactId id, reader.finish());
  return entries;
}

}  // namespace instar::artifact
