#include "core/artifact/index.hpp"

#include <algorithm>

#include "core/artifact/varint.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::artifact {
namespace {

constexpr std::uint8_t kMagic[5] = {'I', 'N', 'S', 'I', 1};
constexpr std::uint8_t kTrailerTag = 0xff;
constexpr std::uint64_t kNumberMax = 0xffffffff;

std::size_t shared_bytes(std::string_view left, std::string_view right) {
  const std::size_t most = std::min(left.size(), right.size());
  std::size_t count = 0;
  while (count < most && left[count] == right[count]) ++count;
  return count;
}

void append_owner(Bytes& out, const Entry& entry) {
  append_varint(out, entry.uid);
  append_varint(out, entry.gid);
}

void append_xattrs(Bytes& out, const Entry& entry) {
  append_varint(out, entry.xattrs.size());
  for (const Xattr& xattr : entry.xattrs) {
    append_text(out, xattr.name);
    append_text(out, as_text(xattr.value));
  }
}

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
    case EntryType::block_device:
      append_varint(out, entry.device_major);
      append_varint(out, entry.device_minor);
      return;
    default: return;
  }
}

void read_owner(ByteCursor& cursor, Entry& entry) {
  entry.uid = static_cast<std::uint32_t>(cursor.varint(kNumberMax, "a user id"));
  entry.gid = static_cast<std::uint32_t>(cursor.varint(kNumberMax, "a group id"));
}

void read_xattrs(ByteCursor& cursor, Entry& entry) {
  const std::uint64_t count = cursor.varint(limits::kXattrsMax, "the number of xattrs");
  for (std::uint64_t i = 0; i < count && !cursor.starved() && !cursor.broken(); ++i) {
    Xattr xattr;
    xattr.name = std::string(as_text(cursor.text(limits::kXattrBytesMax, "an xattr name")));
    xattr.value = to_bytes(cursor.text(limits::kXattrBytesMax, "an xattr value"));
    entry.xattrs.push_back(std::move(xattr));
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
  entry.mode = static_cast<std::uint16_t>(cursor.varint(07777, "a mode"));
  read_owner(cursor, entry);
  switch (entry.type) {
    case EntryType::directory: read_xattrs(cursor, entry); return;
    case EntryType::file:
      read_xattrs(cursor, entry);
      entry.size = cursor.varint(limits::kContentBytesMax, "a file size");
      if (const auto hash = Hash256::from_bytes(cursor.take(32))) entry.content = *hash;
      return;
    case EntryType::char_device:
    case EntryType::block_device:
      entry.device_major = static_cast<std::uint32_t>(cursor.varint(kNumberMax, "a device number"));
      entry.device_minor = static_cast<std::uint32_t>(cursor.varint(kNumberMax, "a device number"));
      return;
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

IndexWriter::IndexWriter(Bytes& out, IndexRules rules) : out_(out), start_(out.size()), checker_(rules) {
  out_.insert(out_.end(), std::begin(kMagic), std::end(kMagic));
}

Status IndexWriter::append(const Entry& entry) {
  INSTAR_CHECK(checker_.check(entry));
  const std::size_t shared = shared_bytes(previous_path_, entry.path);
  out_.push_back(static_cast<std::uint8_t>(entry.type));
  append_varint(out_, shared);
  append_text(out_, std::string_view(entry.path).substr(shared));
  append_fields(out_, entry);
  previous_path_ = entry.path;
  return {};
}

Result<Hash256> IndexWriter::finish() {
  if (checker_.entry_count() == 0) return fail(Code::invalid_argument, "an index needs at least the root folder");
  out_.push_back(kTrailerTag);
  append_varint(out_, checker_.entry_count());
  const ByteView written = ByteView(out_).subspan(start_);
  if (written.size() > limits::kIndexBytesMax) {
    return fail(Code::too_large, "the index has " + std::to_string(written.size()) + " bytes; at most " +
                                     std::to_string(limits::kIndexBytesMax) + " are allowed: split the tree");
  }
  return trust::digest(written);
}

IndexReader::IndexReader(Visitor visit, IndexRules rules) : visit_(std::move(visit)), checker_(rules) {}

Status IndexReader::feed(ByteView piece) {
  byte_count_ += piece.size();
  if (byte_count_ > limits::kIndexBytesMax) {
    return fail(Code::too_large, "the index has more than " + std::to_string(limits::kIndexBytesMax) + " bytes");
  }
  hasher_.update(piece);
  pending_.insert(pending_.end(), piece.begin(), piece.end());
  std::size_t done = 0;
  while (done < pending_.size()) {
    INSTAR_TRY(const std::size_t used, read_one(ByteView(pending_).subspan(done)));
    if (used == 0) break;
    done += used;
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
  return {};
}

Result<std::size_t> IndexReader::read_one(ByteView bytes) {
  if (trailer_seen_) return fail(Code::malformed, "the index goes on after its end");
  ByteCursor cursor(bytes);
  if (!header_seen_) {
    const ByteView magic = cursor.take(sizeof kMagic);
    if (cursor.starved()) return 0;
    if (!std::equal(magic.begin(), magic.begin() + 4, std::begin(kMagic))) return fail(Code::malformed, "this is not an index");
    if (magic[4] != kMagic[4]) {
      return fail(Code::unsupported, "the index has version " + std::to_string(magic[4]) + "; this version reads 1");
    }
    header_seen_ = true;
    return cursor.position();
  }
  const std::uint8_t tag = cursor.byte();
  if (tag == kTrailerTag) {
    const std::uint64_t count = cursor.varint(kNumberMax, "the number of entries");
    if (cursor.starved()) return 0;
    if (cursor.broken()) return fail(cursor.error());
    if (count == 0 || count != checker_.entry_count()) return fail(Code::malformed, "the index has lost entries or has too many");
    trailer_seen_ = true;
    return cursor.position();
  }
  if (tag > static_cast<std::uint8_t>(EntryType::fifo)) return fail(Code::malformed, "the index has an entry of an unknown type");
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

Result<Hash256> IndexReader::finish() {
  if (!trailer_seen_ || !pending_.empty()) return fail(Code::malformed, "the index ends too early");
  return hasher_.finish();
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
  INSTAR_TRY([[maybe_unused]] const Hash256 id, reader.finish());
  return entries;
}

}  // namespace instar::artifact
