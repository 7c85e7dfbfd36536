#include "core/delta/delta_head.hpp"

#include <algorithm>

#include "core/artifact/varint.hpp"
#include "core/base/limits.hpp"
#include "core/delta/block_table.hpp"

namespace instar::delta {
namespace {

constexpr std::array<std::uint8_t, 5> kDeltaMagic{'I', 'N', 'D', 'L', 1};
constexpr std::uint64_t kFirstReadBytes = 128;  // the header at its largest is within it
constexpr std::uint8_t kUsesGzip = 1;           // flags
constexpr std::uint8_t kUsesArm = 2;            // from version 4 on
// liblzma's decoder with its literal coders, and our buffers before it.
constexpr std::uint32_t kStreamStateBytes = 36 * 1024;
// Copied bytes, differences, new bytes, and the table of targets.
constexpr std::uint32_t kWorkBytes = 160 * 1024;
// GzipReader and GzipWriter (gzip-recipe.md).
constexpr std::uint32_t kGzipBytes = 457 * 1024;
constexpr std::uint8_t kVersionWithBlocks = 2;
constexpr std::uint8_t kVersionWithStreams = 3;
constexpr std::uint8_t kVersionWithArm = 4;  // with blocks and streams, or without
// Of a file of blocks: content of a block, content that is held, a block as it is in the file and one as it is in the
// base, beside those that are kept. Streams need none of them, but two decoders: one for those that are kept.
constexpr std::uint32_t kBlockBuffers = 4;
constexpr std::uint32_t kStreamDecoders = 2;
constexpr std::uint32_t kStretchBytes = sizeof(BlockTable::Row);
constexpr std::uint32_t kExtentBytes = 24;

std::uint32_t blocks_memory(const DeltaHeader& header) {
  if (header.block_bytes_max == 0) return 0;
  std::uint32_t decoder = 0;
  std::uint32_t encoder = 0;
  for (std::uint8_t method = 1; method <= kBlockMethodLast; ++method) {
    if ((header.block_methods >> method & 1U) == 0) continue;
    const auto which = static_cast<BlockMethod>(method);
    const std::uint32_t bytes = is_stream(which) ? header.dictionary_bytes_max : header.block_bytes_max;
    decoder = std::max(decoder, block_decoder_bytes(which, bytes) * (is_stream(which) ? kStreamDecoders : 1));
    encoder = std::max(encoder, block_encoder_bytes(which, bytes));
  }
  const std::uint32_t buffers = (header.block_methods & ~kStreamMethods) != 0 ? kBlockBuffers : 0;
  return (buffers + kept_blocks(header.block_bytes_max)) * header.block_bytes_max + decoder + encoder +
         header.stretches_max * kStretchBytes + limits::kBlockExtentsMax * kExtentBytes;
}

std::uint8_t settings_byte(const StreamInfo& info) {
  return static_cast<std::uint8_t>((info.position_bits * 5 + info.literal_position_bits) * 9 +
                                   info.literal_context_bits);
}

}  // namespace

std::uint8_t DeltaHeader::format() const noexcept {
  if (uses_arm) return kVersionWithArm;
  if (block_bytes_max == 0) return kDeltaMagic.back();
  return (block_methods & kStreamMethods) != 0 ? kVersionWithStreams : kVersionWithBlocks;
}

std::uint64_t DeltaHeader::body_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const StreamInfo& stream : streams) bytes += stream.encoded_bytes;
  return bytes;
}

std::uint32_t DeltaHeader::body_chunks() const noexcept {
  return static_cast<std::uint32_t>((body_bytes() + limits::kDeltaChunkBytes - 1) / limits::kDeltaChunkBytes);
}

std::uint32_t DeltaHeader::memory_bytes() const noexcept {
  std::uint32_t bytes = kWorkBytes + operations_max * 16 + (uses_gzip ? kGzipBytes : 0) + blocks_memory(*this);
  for (const StreamInfo& stream : streams) {
    if (stream.decoded_bytes > 0) bytes += stream.window_bytes + kStreamStateBytes;
  }
  return bytes;
}

Bytes encode_delta_head(const DeltaHeader& header, ByteView index_delta, const std::vector<ChunkHash>& body) {
  Bytes out(kDeltaMagic.begin(), kDeltaMagic.end());
  out.back() = header.format();
  out.push_back(static_cast<std::uint8_t>((header.uses_gzip ? kUsesGzip : 0) | (header.uses_arm ? kUsesArm : 0)));
  for (const StreamInfo& stream : header.streams) {
    artifact::append_varint(out, stream.encoded_bytes);
    artifact::append_varint(out, stream.decoded_bytes);
    artifact::append_varint(out, stream.window_bytes);
    out.push_back(settings_byte(stream));
  }
  for (const std::uint64_t number :
       {std::uint64_t{header.file_count}, header.file_bytes, header.file_blocks, std::uint64_t{header.entry_count},
        std::uint64_t{header.operations_max}, std::uint64_t{index_delta.size()}}) {
    artifact::append_varint(out, number);
  }
  if (header.format() >= kVersionWithBlocks) {
    artifact::append_varint(out, header.block_bytes_max);
    artifact::append_varint(out, header.stretches_max);
    out.push_back(header.block_methods);
  }
  if (header.format() >= kVersionWithStreams) artifact::append_varint(out, header.dictionary_bytes_max);
  out.insert(out.end(), index_delta.begin(), index_delta.end());
  for (const ChunkHash& hash : body) out.insert(out.end(), hash.bytes.begin(), hash.bytes.end());
  return out;
}

namespace {

StreamInfo read_stream(artifact::ByteCursor& cursor) {
  StreamInfo info;
  info.encoded_bytes = cursor.varint(limits::kContentBytesMax, "the size of a stream");
  info.decoded_bytes = cursor.varint(std::uint64_t{limits::kContentBytesMax} * 2, "the decoded size of a stream");
  info.window_bytes = static_cast<std::uint32_t>(cursor.varint(limits::kDeltaWindowBytesMax, "the window of a stream"));
  const std::uint8_t settings = cursor.byte();
  info.literal_context_bits = settings % 9;
  info.literal_position_bits = settings / 9 % 5;
  info.position_bits = settings / 45;
  if (info.position_bits > 4 || info.literal_context_bits + info.literal_position_bits > 4 ||
      (info.decoded_bytes == 0) != (info.encoded_bytes == 0)) {
    cursor.break_off(Code::malformed, "a stream of the delta has settings that there are not");
  }
  return info;
}

// In version 4 there may be no files of blocks, and all numbers zero.
void read_block_numbers(artifact::ByteCursor& cursor, DeltaHeader& header, std::uint8_t version) {
  header.block_bytes_max =
      static_cast<std::uint32_t>(cursor.varint(limits::kBlockBytesMax, "the size of the largest block"));
  header.stretches_max =
      static_cast<std::uint32_t>(cursor.varint(limits::kBlockStretchesMax, "the number of blocks of a base"));
  header.block_methods = cursor.byte();
  if (version >= kVersionWithStreams) {
    header.dictionary_bytes_max =
        static_cast<std::uint32_t>(cursor.varint(limits::kBlockBytesMax, "the largest dictionary"));
  }
  if (cursor.starved() || cursor.broken()) return;
  if (header.block_methods >> (kBlockMethodLast + 1) != 0)
    cursor.break_off(Code::unsupported, "the delta has blocks of a method that this version does not know");
  const bool has_none = header.block_bytes_max == 0 && header.stretches_max == 0 && header.block_methods == 0 &&
                        header.dictionary_bytes_max == 0;
  if (header.uses_arm && has_none) return;
  if (header.block_bytes_max == 0 || header.block_methods == 0 || (header.block_methods & 1U) != 0 ||
      header.format() != version)
    cursor.break_off(Code::malformed, "the head of the delta says nothing of the blocks that it has");
}

Result<DeltaHeader> read_header(ByteView bytes, std::size_t& header_bytes) {
  if (bytes.size() < kDeltaMagic.size() + 1 || !std::equal(kDeltaMagic.begin(), kDeltaMagic.end() - 1, bytes.begin())) {
    return fail(Code::malformed, "this is not the head of a delta");
  }
  const std::uint8_t version = bytes[4];
  if (version == 0 || version > kVersionWithArm)
    return fail(Code::unsupported, "the delta has version " + std::to_string(version) + "; this version reads 1 to 4");
  artifact::ByteCursor cursor(bytes.subspan(kDeltaMagic.size()));
  DeltaHeader header;
  const std::uint8_t flags = cursor.byte();
  header.uses_gzip = (flags & kUsesGzip) != 0;
  header.uses_arm = version == kVersionWithArm;
  for (StreamInfo& stream : header.streams) stream = read_stream(cursor);
  header.file_count = static_cast<std::uint32_t>(cursor.varint(limits::kEntriesMax, "the number of files"));
  header.file_bytes = cursor.varint(limits::kContentBytesMax, "the size of the files");
  header.file_blocks = cursor.varint(limits::kContentBytesMax / 4096 + limits::kEntriesMax, "the number of blocks");
  header.entry_count = static_cast<std::uint32_t>(cursor.varint(limits::kEntriesMax, "the number of entries"));
  header.operations_max =
      static_cast<std::uint32_t>(cursor.varint(limits::kDeltaOperationsMax, "the number of operations"));
  header.index_delta_bytes =
      static_cast<std::uint32_t>(cursor.varint(limits::kIndexBytesMax, "the size of the index delta"));
  if (version >= kVersionWithBlocks) read_block_numbers(cursor, header, version);
  if ((flags & ~kUsesGzip) != (header.uses_arm ? kUsesArm : 0))
    cursor.break_off(Code::malformed, "the head of the delta has unknown flags");
  if (cursor.broken()) return fail(cursor.error());
  if (cursor.starved()) return fail(Code::malformed, "the head of the delta ends too early");
  header_bytes = kDeltaMagic.size() + cursor.position();
  return header;
}

}  // namespace

Result<DeltaHead> read_delta_head(const ReadAt& read, std::uint64_t head_bytes) {
  Bytes first(static_cast<std::size_t>(std::min(head_bytes, kFirstReadBytes)));
  INSTAR_TRY(const std::size_t got, read(0, first));
  if (got != first.size()) return fail(Code::malformed, "the head of the delta is shorter than it should be");
  DeltaHead head;
  std::size_t header_bytes = 0;
  INSTAR_TRY(head.header, read_header(first, header_bytes));
  head.index_delta_offset = header_bytes;
  const std::uint64_t hashes_at = std::uint64_t{header_bytes} + head.header.index_delta_bytes;
  const std::uint64_t chunks = head.header.body_chunks();
  if (head_bytes < hashes_at || head_bytes - hashes_at != chunks * 32) {
    return fail(Code::malformed, "the head of the delta has not one hash for each chunk of its body");
  }
  head.body.reserve(static_cast<std::size_t>(chunks));
  std::array<std::uint8_t, 32> hash{};
  for (std::uint64_t i = 0; i < chunks; ++i) {
    INSTAR_TRY(const std::size_t hash_bytes, read(hashes_at + i * 32, hash));
    if (hash_bytes != hash.size()) return fail(Code::malformed, "the head of the delta is shorter than it should be");
    head.body.push_back(*ChunkHash::from_bytes(hash));
  }
  return head;
}

}  // namespace instar::delta
