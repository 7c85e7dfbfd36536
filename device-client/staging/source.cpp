#include "device-client/staging/source.hpp"

#include <fcntl.h>

#include <algorithm>

#include "core/artifact/chunker.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "files/files.hpp"

namespace instar::device {

Result<StagingSource> StagingSource::open(const std::string& folder, const ArtifactId& artifact, bool complete,
                                          artifact::IndexRules rules) {
  StagingSource source;
  source.folder_ = folder;
  source.index_path_ = folder + "/index";
  source.artifact_ = artifact;
  source.complete_ = complete;
  source.rules_ = rules;
  INSTAR_TRY(source.stream_, IndexStream::open(source.index_path_, rules));
  INSTAR_TRY(source.tree_, StagingTree::open(folder + "/tree"));
  return source;
}

Result<bool> StagingSource::read_index(std::uint32_t entries) {
  if (index_read_) return true;
  for (std::uint32_t i = 0; i < entries; ++i) {
    INSTAR_TRY(const artifact::Entry* entry, stream_->next());
    if (entry != nullptr) {
      contents_.add(*entry);
      continue;
    }
    if (stream_->id() != artifact_) return fail(Code::corrupt, index_path_ + " does not match its name");
    stream_.reset();
    INSTAR_CHECK(contents_.seal());
    if (!complete_) INSTAR_CHECK(read_received());
    index_read_ = true;
    return true;
  }
  return false;
}

// For an abandoned staging: its head names the chunks, and its bitmap says which of them are on disk.
Status StagingSource::read_received() {
  INSTAR_TRY(const Bytes index, files::read_file(index_path_, limits::kIndexBytesMax));
  INSTAR_TRY(const Bytes head,
             files::read_file(folder_ + "/head", limits::kHeadChunksMax * limits::kChunkDecodedBytesMax));
  INSTAR_TRY(const Bytes pack, files::read_file(folder_ + "/pack", 33));
  const auto pack_id = PackId::from_bytes(ByteView(pack).subspan(0, std::min<std::size_t>(32, pack.size())));
  if (!pack_id || pack.size() != 33) return fail(Code::corrupt, folder_ + "/pack is broken");
  const auto kind = static_cast<artifact::PackKind>(pack[32]);
  std::vector<ChunkPlace> body;
  artifact::PackHeadReader reader(
      index.size(), [](const artifact::Entry&) -> Status { return {}; },
      [&](const artifact::BodyChunk& chunk) -> Status {
        body.push_back({chunk.ref.hash, chunk.offset, chunk.ref.decoded_bytes});
        return {};
      },
      rules_);
  INSTAR_CHECK(reader.feed(head));
  INSTAR_TRY([[maybe_unused]] const ArtifactId id, reader.finish());
  INSTAR_TRY(const ChunkBits bits,
             ChunkBits::read(folder_ + "/bitmap", *pack_id, static_cast<std::uint32_t>(body.size())));
  received_.assign(contents_.rows().size(), true);
  std::vector<ChunkPlace> present;
  for (std::uint32_t i = 0; i < body.size(); ++i) {
    if (body[i].offset + body[i].bytes > contents_.stream_bytes())
      return fail(Code::corrupt, folder_ + "/head is broken");
    if (bits.test(i)) {
      present.push_back(body[i]);
    } else {
      for (const ContentRange& range : contents_.ranges(body[i].offset, body[i].bytes)) received_[range.row] = false;
    }
  }
  sort_chunks(present);
  chunks_[kind] = std::move(present);
  return {};
}

std::optional<std::uint32_t> StagingSource::find_content(const Hash256& content) const {
  const auto rows = contents_.with_content(content);
  if (rows.empty() || (!complete_ && !received_[rows[0]])) return std::nullopt;
  return rows[0];
}

Result<bool> StagingSource::find_chunks(artifact::PackKind kind, std::uint64_t bytes) {
  INSTAR_ASSERT(index_read_);
  if (!complete_ || chunks_.contains(kind)) return true;
  if (!cutting_) {
    if (auto cached = read_chunk_cache(folder_ + "/" + chunk_cache_name(kind))) {
      chunks_[kind] = std::move(*cached);
      return true;
    }
    cutting_ = kind;
    cut_.clear();
    cut_to_ = 0;
  }
  INSTAR_ASSERT(*cutting_ == kind);
  INSTAR_CHECK(cut_some(kind, bytes));
  if (cut_to_ < contents_.stream_bytes()) return false;
  sort_chunks(cut_);
  // If the cache cannot be written, that only costs time.
  static_cast<void>(write_chunk_cache(folder_ + "/" + chunk_cache_name(kind), cut_));
  chunks_[kind] = std::move(cut_);
  cut_.clear();
  cutting_.reset();
  return true;
}

void StagingSource::forget_chunks(artifact::PackKind kind) {
  cutting_.reset();
  cut_.clear();
  chunks_[kind] = {};
}

Status StagingSource::cut_some(artifact::PackKind kind, std::uint64_t bytes) {
  const artifact::ChunkerParameters parameters = artifact::body_chunks(kind);
  const artifact::Chunker chunker(parameters);
  const std::uint64_t all = contents_.stream_bytes();
  const std::uint64_t stop = cut_to_ + bytes;
  // One buffer for two chunks of the largest size, because memory is scarce. [start, end) of it is the stream from
  // cut_to_ on.
  Bytes buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(2 * std::uint64_t{parameters.bytes_max}, all - cut_to_)));
  std::size_t start = 0;
  std::size_t end = 0;
  while (cut_to_ < all && cut_to_ < stop) {
    if (end - start < parameters.bytes_max && cut_to_ + (end - start) < all) {
      std::copy(buffer.begin() + static_cast<std::ptrdiff_t>(start), buffer.begin() + static_cast<std::ptrdiff_t>(end),
                buffer.begin());
      end -= start;
      start = 0;
      const auto more = static_cast<std::uint32_t>(std::min<std::uint64_t>(buffer.size() - end, all - cut_to_ - end));
      for (const ContentRange& range : contents_.ranges(cut_to_ + end, more)) {
        INSTAR_CHECK(read_content(range.row, range.file_offset, std::span(buffer).subspan(end, range.bytes)));
        end += range.bytes;
      }
    }
    const ByteView rest = ByteView(buffer).subspan(start, end - start);
    const std::size_t size = chunker.next_cut(rest, cut_to_ + rest.size() == all);
    INSTAR_ASSERT(size > 0);
    cut_.push_back({trust::digest(rest.first(size)), cut_to_, static_cast<std::uint32_t>(size)});
    cut_to_ += size;
    start += size;
  }
  return {};
}

const ChunkPlace* StagingSource::find(artifact::PackKind kind, const Hash256& hash) const {
  const auto chunks = chunks_.find(kind);
  return chunks == chunks_.end() ? nullptr : find_chunk(chunks->second, hash);
}

Result<Bytes> StagingSource::read(std::uint64_t offset, std::uint32_t bytes) const {
  if (bytes > contents_.stream_bytes() || offset > contents_.stream_bytes() - bytes) {
    return fail(Code::corrupt, "a chunk outside of the content of " + folder_);
  }
  Bytes out(bytes);
  std::size_t done = 0;
  for (const ContentRange& range : contents_.ranges(offset, bytes)) {
    INSTAR_CHECK(read_content(range.row, range.file_offset, std::span(out).subspan(done, range.bytes)));
    done += range.bytes;
  }
  return out;
}

Status StagingSource::read_content(std::uint32_t row, std::uint64_t offset, std::span<std::uint8_t> out) const {
  const std::string path = contents_.path(contents_.rows()[row]);
  INSTAR_TRY(const files::Fd file, tree_.open_file(path, false));
  INSTAR_TRY(const std::size_t got, files::read_at(file.get(), out, offset, tree_.shown(path)));
  if (got != out.size()) return fail(Code::corrupt, tree_.shown(path) + " is shorter than its index says");
  return {};
}

}  // namespace instar::device
