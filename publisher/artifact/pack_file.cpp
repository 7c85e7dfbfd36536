#include "publisher/artifact/pack_file.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/topics.hpp"
#include "files/files.hpp"
#include "publisher/artifact/delta_pack.hpp"
#include "publisher/artifact/out_folder.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kPackCopyBytes = 1024 * 1024;
// zstd 1.5's decoding context for one frame held in memory (ZSTD_estimateDCtxSize() is 95,992 there), rounded up.
constexpr std::uint32_t kDecoderStateBytes = 128 * 1024;
// Fixed header with a three-byte length, topic length; QoS 0 has no packet id.
constexpr std::uint32_t kMqttHeaderBytes = 1 + 3 + 2;
// A device id of average length.
constexpr std::string_view kTypicalDevice = "gateway-00001234";

// Full and dedupe: one chunk at a time.
std::uint32_t chunk_memory_bytes(const artifact::PackDirectory& directory) noexcept {
  std::uint32_t encoded_max = 0;
  std::uint32_t decoded_max = 0;
  for (const auto& chunk : directory.chunks) {
    encoded_max = std::max(encoded_max, chunk.encoded_bytes);
    decoded_max = std::max(decoded_max, chunk.decoded_bytes);
  }
  return encoded_max + decoded_max + kDecoderStateBytes;
}

}  // namespace

PackFileWriter::PackFileWriter(std::string path, Descriptor body) : path_(std::move(path)), body_(std::move(body)) {}

PackFileWriter::~PackFileWriter() {
  if (body_.path().empty()) return;
  ::unlink(body_.path().c_str());
  ::unlink((path_ + ".new").c_str());
}

Result<PackFileWriter> PackFileWriter::create(const std::string& path) {
  INSTAR_TRY(auto body, Descriptor::create(path + ".body"));
  return PackFileWriter(path, std::move(body));
}

Status PackFileWriter::put(bool head, std::uint32_t ordinal, const artifact::ChunkRef& ref, ByteView encoded) {
  INSTAR_ASSERT(ref.encoded_bytes == encoded.size());
  if (head) {
    INSTAR_ASSERT(ordinal == head_count_);
    ++head_count_;
    head_.insert(head_.end(), encoded.begin(), encoded.end());
    return {};
  }
  INSTAR_ASSERT(ordinal == body_count_);
  ++body_count_;
  body_bytes_ += encoded.size();
  return body_.write(encoded);
}

Status PackFileWriter::finish(const artifact::PackDirectory& directory) {
  if (directory.head_count != head_count_ || directory.chunks.size() != head_count_ + body_count_ ||
      directory.head_bytes() != head_.size() || directory.body_bytes() != body_bytes_) {
    return fail(Code::internal, "the pack's directory does not describe the chunks that were made for " + path_);
  }
  const std::string temporary = path_ + ".new";
  INSTAR_TRY(const auto file, Descriptor::create(temporary));
  INSTAR_CHECK(file.write(artifact::encode_directory(directory)));
  INSTAR_CHECK(file.write(head_));
  Bytes buffer(kPackCopyBytes);
  for (std::uint64_t done = 0; done < body_bytes_;) {
    const auto piece =
        std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), body_bytes_ - done)));
    INSTAR_CHECK(body_.read_at(done, piece));
    INSTAR_CHECK(file.write(piece));
    done += piece.size();
  }
  INSTAR_CHECK(file.sync());
  if (std::rename(temporary.c_str(), path_.c_str()) != 0) {
    return fail(Code::io, "renaming " + temporary + " to " + path_ + ": " + std::strerror(errno));
  }
  return files::sync_folder(parent_folder(path_));
}

Result<PackFile> PackFile::open(const std::string& path) {
  PackFile pack;
  INSTAR_TRY(pack.file_, Descriptor::open_read(path));
  INSTAR_TRY(const auto file_bytes, pack.file_.size());
  if (file_bytes < artifact::kDirectoryHeadBytes) return fail(Code::malformed, path + " is too short for a pack file");
  Bytes head(artifact::kDirectoryHeadBytes);
  INSTAR_CHECK(pack.file_.read_at(0, head));
  const auto directory_bytes = artifact::directory_bytes(head);
  if (!directory_bytes) return fail(with_context(directory_bytes.error(), path));
  pack.directory_bytes_.resize(*directory_bytes);
  if (file_bytes < pack.directory_bytes_.size())
    return fail(Code::corrupt, path + " ends inside its directory: it was cut off");
  INSTAR_CHECK(pack.file_.read_at(0, pack.directory_bytes_));
  auto directory = artifact::decode_directory(pack.directory_bytes_);
  if (!directory) return fail(with_context(directory.error(), path));
  pack.directory_ = std::move(*directory);
  pack.id_ = PackId(trust::digest(pack.directory_bytes_));
  std::uint64_t offset = pack.directory_bytes_.size();
  for (const auto& chunk : pack.directory_.chunks) {
    pack.offsets_.push_back(offset);
    offset += chunk.encoded_bytes;
  }
  pack.offsets_.push_back(offset);
  if (offset != file_bytes) {
    return fail(Code::corrupt, path + " has " + std::to_string(file_bytes) + " bytes, its directory says " +
                                   std::to_string(offset) + ": it was cut off or changed; pack the tree again");
  }
  pack.memory_bytes_ = chunk_memory_bytes(pack.directory_);
  if (pack.directory_.kind == artifact::PackKind::delta) {
    INSTAR_TRY(const auto contents, read_delta(pack));
    pack.memory_bytes_ = contents.parts.header.memory_bytes();
  }
  return pack;
}

Result<Bytes> PackFile::read_chunk(std::uint32_t ordinal) const {
  if (ordinal >= directory_.chunks.size()) {
    return fail(Code::invalid_argument, file_.path() + " has no chunk " + std::to_string(ordinal));
  }
  Bytes encoded(directory_.chunks[ordinal].encoded_bytes);
  INSTAR_CHECK(file_.read_at(offsets_[ordinal], encoded));
  return encoded;
}

Result<std::size_t> PackFile::read_body(std::uint64_t offset, std::span<std::uint8_t> out) const {
  const std::uint64_t start = offsets_[directory_.head_count];
  const std::uint64_t size = offsets_.back() - start;
  if (offset >= size) return 0U;
  const auto part = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size - offset)));
  INSTAR_CHECK(file_.read_at(start + offset, part));
  return part.size();
}

Result<Bytes> PackFile::decode_chunk(std::uint32_t ordinal) const {
  INSTAR_TRY(const auto encoded, read_chunk(ordinal));
  auto decoded = artifact::decode_chunk(directory_.chunks[ordinal], encoded);
  if (!decoded) return fail(with_context(decoded.error(), file_.path() + ", chunk " + std::to_string(ordinal)));
  return decoded;
}

Status PackFile::verify(const ChunkVisitor& visit) const {
  for (std::uint32_t ordinal = 0; ordinal < directory_.chunks.size(); ++ordinal) {
    INSTAR_TRY(const auto decoded, decode_chunk(ordinal));
    if (visit) INSTAR_CHECK(visit(ordinal, decoded));
  }
  return {};
}

std::uint32_t framing_bytes(const artifact::PackDirectory& directory) {
  const auto device = DeviceId::parse(kTypicalDevice);
  INSTAR_ASSERT(device.has_value());
  const std::size_t topic_bytes = wire::Topics().device(*device, wire::TopicKind::device_chunk).size();
  wire::ChunkPiece piece;
  piece.session = piece.ordinal = piece.offset = 1;
  piece.data.resize(4);
  const std::size_t piece_bytes = kMqttHeaderBytes + topic_bytes + wire::encode(piece).size() - piece.data.size();
  std::uint64_t pieces = 0;
  for (const auto& chunk : directory.chunks)
    pieces += (chunk.encoded_bytes + limits::kPieceBytesDefault - 1) / limits::kPieceBytesDefault;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(pieces * piece_bytes, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace instar::publisher
