// Head and chunks of one artifact. What is found on the device: content_layout.cpp. The end: content_verify.cpp.
#include "device-client/staging/content_stage.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "files/sparse.hpp"

namespace instar::device {

using artifact::BodyChunk;
using artifact::ChunkRef;
using artifact::Entry;
using artifact::EntryType;

namespace {
constexpr std::size_t kStageReadBytes = 64 * 1024;
}  // namespace

Result<std::unique_ptr<Stage>> ArtifactStage::open(StageSetup setup) {
  if (setup.pack.kind > artifact::PackKind::dedupe || setup.pack.format != artifact::kPackFormat) {
    return fail(Code::unsupported, "pack " + setup.pack.id.short_hex() +
                                       " is of a kind that this version cannot stage: update the client");
  }
  std::unique_ptr<ArtifactStage> stage(new ArtifactStage(std::move(setup)));
  INSTAR_CHECK(stage->open_folders());
  // If a delta was given up for this pack, its tree is used further. Its own files only take up space.
  stage->remove_files({"delta", "decoded", "progress", "index.new", "redone"});
  return stage;
}

Result<bool> ArtifactStage::find_held(const Neighbours& neighbours, StagingSlice slice) {
  if (!sealed_) {
    const auto base = std::ranges::find_if(neighbours.sources, [&](const StagingSource& source) {
      return source.is_complete() && source.artifact() == setup_.artifact.id;
    });
    if (base == neighbours.sources.end()) return true;
    INSTAR_CHECK(adopt(*base));
  }
  INSTAR_TRY(const bool matched, match({neighbours.sources, {}}, slice));
  if (!matched) return false;
  if (is_matched_whole()) {
    held_ = true;
  } else {
    give_up_held();
  }
  return true;
}

Status ArtifactStage::adopt(const StagingSource& base) {
  INSTAR_ASSERT(base.artifact() == setup_.artifact.id);
  INSTAR_TRY(const Bytes index, files::read_file(base.index_path(), limits::kIndexBytesMax));
  INSTAR_CHECK(files::write_file_atomic(file("index"), index, 0600));
  INSTAR_TRY(const auto stream, IndexStream::open(file("index"), setup_.rules));
  while (true) {
    INSTAR_TRY(const Entry* entry, stream->next());
    if (entry == nullptr) break;
    INSTAR_CHECK(check_entry(*entry));
    count_entry(*entry);
  }
  if (stream->id() != setup_.artifact.id) return fail(Code::corrupt, base.index_path() + " does not match its name");
  INSTAR_CHECK(contents_.seal());
  sealed_ = true;
  return {};
}

// The hashes of chunks show which of them are zeros alone.
void ArtifactStage::find_holes() {
  artifact::ZeroChunks known;
  zeros_.assign(body_.size(), false);
  hole_blocks_.assign(contents_.rows().size(), 0);
  for (std::size_t i = 0; i < body_.size(); ++i) {
    zeros_[i] = known.contains(body_[i].ref);
    if (!zeros_[i]) continue;
    for (const ContentRange& range : contents_.ranges(body_[i].offset, body_[i].ref.decoded_bytes))
      hole_blocks_[range.row] += artifact::whole_blocks(range.file_offset, range.bytes);
  }
}

void ArtifactStage::give_up_held() {
  held_ = sealed_ = false;
  contents_ = {};
  folder_count_ = link_count_ = empty_count_ = special_count_ = 0;
  plans_.clear();
  match_at_ = 0;
  candidates_.reset();
  hashing_.reset();
}

void ArtifactStage::count_entry(const Entry& entry) {
  contents_.add(entry);
  switch (entry.type) {
    case EntryType::directory: ++folder_count_; break;
    case EntryType::symlink: (entry.target.size() < kInlineLinkBytes ? empty_count_ : link_count_) += 1; break;
    case EntryType::file: empty_count_ += entry.size == 0 ? 1 : 0; break;
    case EntryType::hardlink: break;
    default: ++special_count_; break;
  }
}

Result<bool> ArtifactStage::read_head() {
  if (held_ || sealed_) return true;
  INSTAR_ASSERT(is_head_complete());
  if (!head_reader_) {
    give_up_held();
    body_.clear();
    head_read_ = 0;
    head_reader_ = std::make_unique<artifact::PackHeadReader>(
        setup_.artifact.index_bytes,
        [this](const Entry& entry) -> Status {
          INSTAR_CHECK(check_entry(entry));
          count_entry(entry);
          return {};
        },
        [this](const BodyChunk& chunk) -> Status {
          body_.push_back(chunk);
          return {};
        },
        setup_.rules);
  }
  Bytes buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kStageReadBytes, head_bytes() - head_read_)));
  INSTAR_TRY(const std::size_t got, files::read_at(head_file_.get(), buffer, head_read_, file("head")));
  if (got != buffer.size()) return fail(Code::io, file("head") + " became shorter while it was being read");
  head_read_ += got;
  INSTAR_CHECK(head_reader_->feed(buffer));
  if (head_read_ < head_bytes()) return false;
  INSTAR_CHECK(take_head());
  return true;
}

// The index is complete: checks that it is the signed one, and that the numbers of manifest, index and body table
// agree.
Status ArtifactStage::take_head() {
  INSTAR_TRY(const ArtifactId id, head_reader_->finish());
  head_reader_.reset();
  if (id != setup_.artifact.id) {
    return fail(Code::corrupt, "the index hashes to " + id.short_hex() + ", not to the signed artifact " +
                                   setup_.artifact.id.short_hex());
  }
  INSTAR_CHECK(contents_.seal());
  std::uint64_t decoded = 0;
  std::uint64_t encoded = 0;
  for (const BodyChunk& chunk : body_) {
    decoded += chunk.ref.decoded_bytes;
    encoded += chunk.ref.encoded_bytes;
  }
  if (contents_.stream_bytes() != setup_.artifact.content_bytes || decoded != setup_.artifact.content_bytes) {
    return fail(Code::malformed,
                "artifact " + setup_.artifact.id.short_hex() + " has " + std::to_string(contents_.stream_bytes()) +
                    " bytes of content in its index, " + std::to_string(decoded) + " in its pack and " +
                    std::to_string(setup_.artifact.content_bytes) + " in the manifest: publish it again");
  }
  if (body_.size() != setup_.pack.body_count || encoded != setup_.pack.body_bytes) {
    return fail(Code::malformed,
                "pack " + setup_.pack.id.short_hex() + " is not as large as the manifest says: publish it again");
  }
  INSTAR_CHECK(write_index());
  Bytes pack = to_bytes(ByteView(setup_.pack.id.bytes));
  pack.push_back(static_cast<std::uint8_t>(setup_.pack.kind));
  INSTAR_CHECK(files::write_file_atomic(file("pack"), pack, 0600));
  INSTAR_TRY(ChunkBits durable, ChunkBits::open(file("bitmap"), setup_.pack.id, setup_.pack.body_count));
  // A tree that a delta has made may have every chunk already.
  INSTAR_TRY(written_,
             ChunkBits::open(file("written"), setup_.pack.id, setup_.pack.body_count, files::exists(file("made"))));
  take_body(std::move(durable), setup_.pack.body_count);
  find_holes();
  sealed_ = true;
  return {};
}

Status ArtifactStage::write_index() {
  const std::string temporary = file("index.new");
  {
    INSTAR_TRY(const files::Fd out, files::open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    Bytes buffer(kStageReadBytes);
    for (std::uint64_t at = 0; at < setup_.artifact.index_bytes;) {
      const auto want =
          static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), setup_.artifact.index_bytes - at));
      INSTAR_TRY(const std::size_t got,
                 files::read_at(head_file_.get(), std::span(buffer).first(want), at, file("head")));
      if (got != want) return fail(Code::io, file("head") + " became shorter while it was being read");
      INSTAR_CHECK(files::write_all(out.get(), ByteView(buffer).first(got), temporary));
      at += got;
    }
    INSTAR_CHECK(files::sync_fd(out.get(), temporary));
  }
  if (::rename(temporary.c_str(), file("index").c_str()) != 0) return files::os_error("renaming", temporary, errno);
  return files::sync_folder(setup_.folder);
}

Status ArtifactStage::write_body(std::uint32_t body, ByteView decoded) {
  const BodyChunk& chunk = body_[body];
  INSTAR_ASSERT(decoded.size() == chunk.ref.decoded_bytes);
  for (const ContentRange& range : contents_.ranges(chunk.offset, chunk.ref.decoded_bytes)) {
    const ByteView part = decoded.first(range.bytes);
    decoded = decoded.subspan(range.bytes);
    if (plans_[range.row].from != From::fetch) continue;
    const std::string path = contents_.path(contents_.rows()[range.row]);
    if (open_row_ != range.row) {
      open_row_.reset();
      INSTAR_TRY(open_file_, tree_.open_file(path, true));
      open_row_ = range.row;
    }
    INSTAR_CHECK(files::write_with_holes(open_file_.get(), part, range.file_offset, tree_.shown(path)));
  }
  return written_->set(body, true);
}

}  // namespace instar::device
