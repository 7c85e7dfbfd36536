// Packs: ways to get an artifact, cut into wire chunks (docs/formats/pack.md).
//
// A tree's *content stream* is the concatenation of its distinct regular file contents (by content hash), in the order
// in which the index first names them. A `full` or `dedupe` pack is
//
//   head   the canonical index, then the body table, as one byte stream cut into wire chunks
//   body   the content stream, cut by content (kFullChunks or kDedupeChunks) into wire chunks
//
// Ordinals number wire chunks: head first, then body. The *directory* of a pack lists all of them; its hash is the
// pack's id. A broker serves (pack, ordinal) from the directory without knowing what is inside. `delta` packs keep this
// frame and give head and body other meanings; PackKind says which.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/artifact/chunker.hpp"
#include "core/artifact/codec.hpp"
#include "core/artifact/index.hpp"
#include "core/artifact/item_buffer.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"

namespace instar::artifact {

// Frozen numbers, the same as instar.fb.PackKind.
enum class PackKind : std::uint8_t { full = 0, dedupe = 1, delta = 2 };
[[nodiscard]] std::string_view pack_kind_name(PackKind kind) noexcept;

inline constexpr std::uint8_t kPackFormat = 1;
// A kind of pack that a client can use, as its hello names it. Full and dedupe have only the format, because every
// client knows them.
[[nodiscard]] constexpr std::uint8_t pack_capability(PackKind kind, std::uint8_t format = kPackFormat) noexcept {
  return kind == PackKind::delta ? static_cast<std::uint8_t>(static_cast<std::uint8_t>(kind) << 4 | format) : format;
}

// --- directory: what the broker and the pack file hold --------------------------------------------
// "INPD", version 1, kind, zero u16, head count u32, body count u32, artifact id 32, base id 32 (zero if none),
// then per chunk: hash 32, encoded u32, decoded u32, codec u8. All little-endian. docs/formats/pack.md
struct PackDirectory {
  PackKind kind = PackKind::full;
  ArtifactId artifact;
  ArtifactId base;  // zero if none
  std::uint32_t head_count = 0;
  std::vector<ChunkRef> chunks;  // head, then body

  [[nodiscard]] std::uint64_t head_bytes() const noexcept;
  [[nodiscard]] std::uint64_t body_bytes() const noexcept;
};
[[nodiscard]] Bytes encode_directory(const PackDirectory& directory);
[[nodiscard]] Result<PackDirectory> decode_directory(ByteView bytes);
// The size of the whole directory, read from its first kDirectoryHeadBytes. A pack file begins with them. Errors:
// malformed, too_large.
inline constexpr std::size_t kDirectoryHeadBytes = 80;
[[nodiscard]] Result<std::size_t> directory_bytes(ByteView head);

// --- body table: what the device reads out of the head --------------------------------------------
// Chunk i of the body covers [offset, offset + decoded_bytes) of the content stream, offsets running on from 0.
// Form: varint count, then per chunk: hash 32, varint decoded_bytes, varint encoded_bytes * 2 + (codec == zstd).
// An encoded chunk of codec raw has encoded_bytes == decoded_bytes.
// Read as a stream: see PackHeadReader.
struct BodyChunk {
  ChunkRef ref;
  std::uint64_t offset = 0;
};

// Splits a decoded head stream into index entries and body chunks, piece by piece.
class PackHeadReader {
 public:
  using EntryVisitor = std::function<Status(const Entry&)>;
  using ChunkVisitor = std::function<Status(const BodyChunk&)>;
  PackHeadReader(std::uint64_t index_bytes, EntryVisitor on_entry, ChunkVisitor on_chunk, IndexRules rules = {});
  [[nodiscard]] Status feed(ByteView piece);
  // Returns the hash of the index. The caller compares it with the signed artifact id.
  [[nodiscard]] Result<ArtifactId> finish();

 private:
  std::uint64_t index_bytes_left_;
  IndexReader index_;
  ChunkVisitor on_chunk_;
  ItemBuffer pending_;
  std::uint64_t chunks_left_ = 0;
  bool count_seen_ = false;
  std::uint64_t offset_ = 0;

  // Consumes the count or one chunk at the start of `bytes`; 0 when more bytes are needed.
  [[nodiscard]] Result<std::size_t> read_one(ByteView bytes);
};
// The body table, as PackHeadReader reads it.
[[nodiscard]] Bytes encode_body_table(const std::vector<ChunkRef>& body);

// --- making -----------------------------------------------------------------------------------------
// Where a packer reads and writes. The publisher implements both with files.
class ContentSource {
 public:
  virtual ~ContentSource() = default;
  // Reads up to `out.size()` bytes of `entry`'s content at `offset`; fewer only at the end.
  [[nodiscard]] virtual Result<std::size_t> read(const Entry& entry, std::uint64_t offset,
                                                 std::span<std::uint8_t> out) = 0;
};
class PackSink {
 public:
  virtual ~PackSink() = default;
  // Called once for each wire chunk. `ordinal` counts from 0 in the head, and again from 0 in the body. The head comes
  // last, since it describes the body.
  [[nodiscard]] virtual Status put(bool head, std::uint32_t ordinal, const ChunkRef& ref, ByteView encoded) = 0;
};

struct PackOptions {
  PackKind kind = PackKind::full;
  int level = 19;
  // Called now and then with the bytes done and all bytes.
  std::function<void(std::uint64_t done, std::uint64_t all)> progress;
};

// The chunks that a kind's body is cut into. The head's are always kFullChunks.
[[nodiscard]] ChunkerParameters body_chunks(PackKind kind) noexcept;

// Cuts and compresses all chunks, passes them on, and returns the directory. The same index and contents give the same
// bytes (with the same release of zstd). `index_bytes` is the canonical index, `entries` its entries. Memory: one
// chunk, plus the directory. Errors: corrupt (a file's content is not what the index says), too_large, unsupported
// (delta), those of source and sink.
[[nodiscard]] Result<PackDirectory> make_pack(ByteView index_bytes, const std::vector<Entry>& entries,
                                              ContentSource& source, PackSink& sink, const PackOptions& options);

// --- content stream ---------------------------------------------------------------------------------
// The ranges of files for a range of the content stream.
struct StreamFile {
  std::uint64_t offset = 0;  // in the content stream
  std::uint64_t size = 0;
  Hash256 content;
  std::string path;  // the first entry with this content
};
// The distinct contents of an index in stream order, without empty ones. If an index has one content with two sizes,
// that is found when the content is read.
[[nodiscard]] std::vector<StreamFile> stream_files(const std::vector<Entry>& entries);

}  // namespace instar::artifact
