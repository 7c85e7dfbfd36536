#include "core/artifact/pack.hpp"

#include <algorithm>
#include <unordered_set>

#include "core/artifact/varint.hpp"
#include "core/base/limits.hpp"

namespace instar::artifact {
namespace {

constexpr std::uint8_t kDirectoryMagic[4] = {'I', 'N', 'P', 'D'};
constexpr std::size_t kDirectoryChunkBytes = 41;

void append_u32(Bytes& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

std::uint32_t read_u32(ByteView bytes) {
  return static_cast<std::uint32_t>(bytes[0] | bytes[1] << 8 | bytes[2] << 16) | static_cast<std::uint32_t>(bytes[3])
                                                                                     << 24;
}

void append_hash(Bytes& out, const Hash256& hash) {
  out.insert(out.end(), hash.bytes.begin(), hash.bytes.end());
}

Status check_chunk(const ChunkRef& ref) {
  if (ref.decoded_bytes == 0 || ref.encoded_bytes == 0) return fail(Code::malformed, "a pack names an empty chunk");
  if (ref.decoded_bytes > limits::kChunkDecodedBytesMax || ref.encoded_bytes > limits::kChunkEncodedBytesMax) {
    return fail(Code::too_large,
                "a pack names a chunk of more than " + std::to_string(limits::kChunkDecodedBytesMax) + " bytes");
  }
  if (ref.codec == Codec::raw && ref.decoded_bytes != ref.encoded_bytes) {
    return fail(Code::malformed, "a pack names a raw chunk whose two sizes differ");
  }
  return {};
}

Status check_directory_head(const PackDirectory& directory, std::uint32_t body_count) {
  if (directory.kind > PackKind::delta) {
    return fail(Code::unsupported, "the pack is of kind " + std::to_string(static_cast<int>(directory.kind)) +
                                       ", which this version does not know");
  }
  if ((directory.kind == PackKind::delta) == directory.base.is_zero()) {
    return fail(Code::malformed, "a pack names a base if and only if it is a delta");
  }
  if (directory.head_count == 0) return fail(Code::malformed, "a pack has no head");
  if (directory.head_count > limits::kHeadChunksMax || body_count > limits::kPackChunksMax) {
    return fail(Code::too_large, "a pack of " + std::to_string(directory.head_count) + " head and " +
                                     std::to_string(body_count) + " body chunks; at most " +
                                     std::to_string(limits::kHeadChunksMax) + " and " +
                                     std::to_string(limits::kPackChunksMax) + " are allowed");
  }
  return {};
}

}  // namespace

std::string_view pack_kind_name(PackKind kind) noexcept {
  switch (kind) {
    case PackKind::full: return "full";
    case PackKind::dedupe: return "dedupe";
    case PackKind::delta: return "delta";
  }
  return "unknown";
}

ChunkerParameters body_chunks(PackKind kind) noexcept {
  return kind == PackKind::dedupe ? kDedupeChunks : kFullChunks;
}

std::uint64_t PackDirectory::head_bytes() const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < head_count && i < chunks.size(); ++i) sum += chunks[i].encoded_bytes;
  return sum;
}

std::uint64_t PackDirectory::body_bytes() const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = head_count; i < chunks.size(); ++i) sum += chunks[i].encoded_bytes;
  return sum;
}

Bytes encode_directory(const PackDirectory& directory) {
  Bytes out(std::begin(kDirectoryMagic), std::end(kDirectoryMagic));
  out.reserve(kDirectoryHeadBytes + directory.chunks.size() * kDirectoryChunkBytes);
  out.push_back(kPackFormat);
  out.push_back(static_cast<std::uint8_t>(directory.kind));
  out.push_back(0);
  out.push_back(0);
  append_u32(out, directory.head_count);
  append_u32(out, static_cast<std::uint32_t>(directory.chunks.size()) - directory.head_count);
  append_hash(out, directory.artifact);
  append_hash(out, directory.base);
  for (const ChunkRef& ref : directory.chunks) {
    append_hash(out, ref.hash);
    append_u32(out, ref.encoded_bytes);
    append_u32(out, ref.decoded_bytes);
    out.push_back(static_cast<std::uint8_t>(ref.codec));
  }
  return out;
}

Result<std::size_t> directory_bytes(ByteView head) {
  if (head.size() < kDirectoryHeadBytes ||
      !std::equal(std::begin(kDirectoryMagic), std::end(kDirectoryMagic), head.begin())) {
    return fail(Code::malformed, "this is not the directory of a pack: it does not begin with INPD");
  }
  const auto count = std::uint64_t{read_u32(head.subspan(8))} + read_u32(head.subspan(12));
  if (count > limits::kPackChunksMax) {
    return fail(Code::too_large, "a pack of " + std::to_string(count) + " chunks; at most " +
                                     std::to_string(limits::kPackChunksMax) + " are allowed");
  }
  return kDirectoryHeadBytes + static_cast<std::size_t>(count) * kDirectoryChunkBytes;
}

Result<PackDirectory> decode_directory(ByteView bytes) {
  if (bytes.size() < kDirectoryHeadBytes ||
      !std::equal(std::begin(kDirectoryMagic), std::end(kDirectoryMagic), bytes.begin())) {
    return fail(Code::malformed, "this is not the directory of a pack");
  }
  if (bytes[4] != kPackFormat) {
    return fail(Code::unsupported, "the pack has format " + std::to_string(bytes[4]) + "; this version reads 1");
  }
  if (bytes[6] != 0 || bytes[7] != 0) return fail(Code::malformed, "reserved bytes of a pack directory are not zero");
  PackDirectory directory;
  directory.kind = static_cast<PackKind>(bytes[5]);
  directory.head_count = read_u32(bytes.subspan(8));
  const std::uint32_t body_count = read_u32(bytes.subspan(12));
  directory.artifact = *ArtifactId::from_bytes(bytes.subspan(16, 32));
  directory.base = *ArtifactId::from_bytes(bytes.subspan(48, 32));
  INSTAR_CHECK(check_directory_head(directory, body_count));
  const std::size_t count = std::size_t{directory.head_count} + body_count;
  if (bytes.size() != kDirectoryHeadBytes + count * kDirectoryChunkBytes) {
    return fail(Code::malformed, "a pack directory of " + std::to_string(bytes.size()) +
                                     " bytes does not hold exactly " + std::to_string(count) + " chunks");
  }
  directory.chunks.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const ByteView row = bytes.subspan(kDirectoryHeadBytes + i * kDirectoryChunkBytes, kDirectoryChunkBytes);
    if (row[40] > static_cast<std::uint8_t>(Codec::zstd)) {
      return fail(Code::unsupported,
                  "a pack names a chunk of codec " + std::to_string(row[40]) + ", which this version does not know");
    }
    const ChunkRef ref{*ChunkHash::from_bytes(row.first(32)), read_u32(row.subspan(32)), read_u32(row.subspan(36)),
                       static_cast<Codec>(row[40])};
    INSTAR_CHECK(check_chunk(ref));
    directory.chunks.push_back(ref);
  }
  return directory;
}

Bytes encode_body_table(const std::vector<ChunkRef>& body) {
  Bytes out;
  out.reserve(body.size() * 38 + 4);
  append_varint(out, body.size());
  for (const ChunkRef& ref : body) {
    append_hash(out, ref.hash);
    append_varint(out, ref.decoded_bytes);
    append_varint(out, std::uint64_t{ref.encoded_bytes} * 2 + (ref.codec == Codec::zstd ? 1 : 0));
  }
  return out;
}

PackHeadReader::PackHeadReader(std::uint64_t index_bytes, EntryVisitor on_entry, ChunkVisitor on_chunk,
                               IndexRules rules)
    : index_bytes_left_(index_bytes), index_(std::move(on_entry), rules), on_chunk_(std::move(on_chunk)) {}

Status PackHeadReader::feed(ByteView piece) {
  if (index_bytes_left_ > 0) {
    const auto part = piece.first(static_cast<std::size_t>(std::min<std::uint64_t>(index_bytes_left_, piece.size())));
    INSTAR_CHECK(index_.feed(part));
    index_bytes_left_ -= part.size();
    piece = piece.subspan(part.size());
  }
  return pending_.feed(piece, [this](ByteView bytes) { return read_one(bytes); });
}

Result<std::size_t> PackHeadReader::read_one(ByteView bytes) {
  ByteCursor cursor(bytes);
  if (!count_seen_) {
    const std::uint64_t count = cursor.varint(limits::kPackChunksMax, "the number of body chunks");
    if (cursor.starved()) return 0;
    if (cursor.broken()) return fail(cursor.error());
    chunks_left_ = count;
    count_seen_ = true;
    return cursor.position();
  }
  if (chunks_left_ == 0) return fail(Code::malformed, "the head of a pack goes on after its end");
  const ByteView hash = cursor.take(32);
  const std::uint64_t decoded_bytes = cursor.varint(limits::kChunkDecodedBytesMax, "a chunk's decoded size");
  const std::uint64_t packed = cursor.varint(limits::kChunkEncodedBytesMax * 2 + 1, "a chunk's encoded size");
  if (cursor.starved()) return 0;
  if (cursor.broken()) return fail(cursor.error());
  BodyChunk chunk;
  chunk.ref = {*ChunkHash::from_bytes(hash), static_cast<std::uint32_t>(packed / 2),
               static_cast<std::uint32_t>(decoded_bytes), packed % 2 == 1 ? Codec::zstd : Codec::raw};
  INSTAR_CHECK(check_chunk(chunk.ref));
  chunk.offset = offset_;
  INSTAR_CHECK(on_chunk_(chunk));
  offset_ += decoded_bytes;
  --chunks_left_;
  return cursor.position();
}

Result<ArtifactId> PackHeadReader::finish() {
  if (index_bytes_left_ > 0 || !count_seen_ || chunks_left_ > 0 || !pending_.empty()) {
    return fail(Code::malformed, "the head of a pack ends too early");
  }
  return index_.finish();
}

std::vector<StreamFile> stream_files(const std::vector<Entry>& entries) {
  std::vector<StreamFile> files;
  std::unordered_set<Hash256> seen;
  std::uint64_t offset = 0;
  for (const Entry& entry : entries) {
    if (entry.type != EntryType::file || entry.size == 0 || !seen.insert(entry.content).second) continue;
    files.push_back({offset, entry.size, entry.content, entry.path});
    offset += entry.size;
  }
  return files;
}

}  // namespace instar::artifact
