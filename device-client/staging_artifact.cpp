// Head and chunks of one artifact. What is found locally: staging_layout.cpp. The end: staging_verify.cpp.
#include "device-client/staging_artifact.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "files/files.hpp"

namespace instar::device {

using artifact::BodyChunk;
using artifact::ChunkRef;
using artifact::Entry;
using artifact::EntryType;

namespace {
constexpr std::size_t kReadBytes = 64 * 1024;
// Longer targets of symlinks take a block of their own on ext4.
constexpr std::size_t kInlineLinkBytes = 60;
}  // namespace

Result<std::unique_ptr<ArtifactStage>> ArtifactStage::open(const std::string& folder, const wire::Artifact& artifact,
                                                           const wire::Pack& pack, artifact::IndexRules rules, StagingLog log) {
  if (artifact.kind != wire::ArtifactKind::tree) {
    return fail(Code::unsupported,
                "artifact " + artifact.id.short_hex() + " is an image, which this version cannot stage: update the client");
  }
  if (pack.kind == artifact::PackKind::delta || pack.format != artifact::kPackFormat) {
    return fail(Code::unsupported, "pack " + pack.id.short_hex() + " is of a kind that this version cannot stage: update the client");
  }
  std::unique_ptr<ArtifactStage> stage(new ArtifactStage);
  stage->folder_ = folder;
  stage->artifact_ = artifact;
  stage->pack_ = pack;
  stage->rules_ = rules;
  stage->log_ = std::move(log);
  INSTAR_CHECK(files::make_folders(folder, 0700));
  INSTAR_TRY(stage->tree_, StagingTree::make(folder + "/tree"));
  stage->head_offsets_.push_back(0);
  for (const ChunkRef& ref : pack.head) stage->head_offsets_.push_back(stage->head_offsets_.back() + ref.decoded_bytes);
  stage->head_have_.assign(pack.head.size(), false);
  return stage;
}

Result<bool> ArtifactStage::check_head() {
  if (!head_file_.is_open()) {
    INSTAR_TRY(head_file_, files::open_file(file("head"), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  }
  if (head_checked_ == head_count()) return true;
  const ChunkRef& ref = pack_.head[head_checked_];
  if (ref.decoded_bytes > limits::kChunkDecodedBytesMax) return fail(Code::too_large, "a head chunk is larger than a chunk can be");
  Bytes decoded(ref.decoded_bytes);
  INSTAR_TRY(const std::size_t got, files::read_at(head_file_.get(), decoded, head_offsets_[head_checked_], file("head")));
  head_have_[head_checked_] = got == decoded.size() && trust::digest(decoded) == ref.hash;
  ++head_checked_;
  return head_checked_ == head_count();
}

bool ArtifactStage::is_head_complete() const noexcept {
  return std::ranges::all_of(head_have_, [](bool have) { return have; });
}

Status ArtifactStage::adopt(const StagingSource& base) {
  INSTAR_ASSERT(base.artifact() == artifact_.id);
  INSTAR_TRY(const Bytes index, files::read_file(base.index_path(), limits::kIndexBytesMax));
  INSTAR_CHECK(files::write_file_atomic(file("index"), index, 0600));
  INSTAR_TRY(const auto stream, IndexStream::open(file("index"), rules_));
  while (true) {
    INSTAR_TRY(const Entry* entry, stream->next());
    if (entry == nullptr) break;
    count_entry(*entry);
  }
  if (stream->id() != artifact_.id) return fail(Code::corrupt, base.index_path() + " does not match its name");
  INSTAR_CHECK(contents_.seal());
  sealed_ = true;
  return {};
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
  if (sealed_) return true;
  INSTAR_ASSERT(is_head_complete());
  if (!head_reader_) {
    give_up_held();
    body_.clear();
    head_read_ = 0;
    head_reader_ = std::make_unique<artifact::PackHeadReader>(
        artifact_.index_bytes,
        [this](const Entry& entry) -> Status {
          count_entry(entry);
          return {};
        },
        [this](const BodyChunk& chunk) -> Status {
          body_.push_back(chunk);
          return {};
        },
        rules_);
  }
  Bytes buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, head_offsets_.back() - head_read_)));
  INSTAR_TRY(const std::size_t got, files::read_at(head_file_.get(), buffer, head_read_, file("head")));
  if (got != buffer.size()) return fail(Code::io, file("head") + " became shorter while it was being read");
  head_read_ += got;
  INSTAR_CHECK(head_reader_->feed(buffer));
  if (head_read_ < head_offsets_.back()) return false;
  INSTAR_CHECK(take_head());
  return true;
}

// The index is whole: is it the signed one, and do the numbers of manifest, index and body table agree?
Status ArtifactStage::take_head() {
  INSTAR_TRY(const Hash256 id, head_reader_->finish());
  head_reader_.reset();
  if (id != artifact_.id) {
    return fail(Code::corrupt, "the index hashes to " + id.short_hex() + ", not to the signed artifact " + artifact_.id.short_hex());
  }
  INSTAR_CHECK(contents_.seal());
  std::uint64_t decoded = 0;
  std::uint64_t encoded = 0;
  for (const BodyChunk& chunk : body_) {
    decoded += chunk.ref.decoded_bytes;
    encoded += chunk.ref.encoded_bytes;
  }
  if (contents_.stream_bytes() != artifact_.content_bytes || decoded != artifact_.content_bytes) {
    return fail(Code::malformed, "artifact " + artifact_.id.short_hex() + " has " + std::to_string(contents_.stream_bytes()) +
                                     " bytes of content in its index, " + std::to_string(decoded) + " in its pack and " +
                                     std::to_string(artifact_.content_bytes) + " in the manifest: publish it again");
  }
  if (body_.size() != pack_.body_count || encoded != pack_.body_bytes) {
    return fail(Code::malformed, "pack " + pack_.id.short_hex() + " is not as large as the manifest says: publish it again");
  }
  INSTAR_CHECK(write_index());
  Bytes pack = to_bytes(ByteView(pack_.id.bytes));
  pack.push_back(static_cast<std::uint8_t>(pack_.kind));
  INSTAR_CHECK(files::write_file_atomic(file("pack"), pack, 0600));
  INSTAR_TRY(durable_, ChunkBits::open(file("bitmap"), pack_.id, pack_.body_count));
  INSTAR_TRY(written_, ChunkBits::open(file("written"), pack_.id, pack_.body_count));
  have_.assign(body_.size(), false);
  for (std::uint32_t i = 0; i < body_.size(); ++i) have_[i] = durable_->test(i);
  sealed_ = true;
  return {};
}

Status ArtifactStage::write_index() {
  const std::string temporary = file("index.new");
  {
    INSTAR_TRY(const files::Fd out, files::open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    Bytes buffer(kReadBytes);
    for (std::uint64_t at = 0; at < artifact_.index_bytes;) {
      const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), artifact_.index_bytes - at));
      INSTAR_TRY(const std::size_t got, files::read_at(head_file_.get(), std::span(buffer).first(want), at, file("head")));
      if (got != want) return fail(Code::io, file("head") + " became shorter while it was being read");
      INSTAR_CHECK(files::write_all(out.get(), ByteView(buffer).first(got), temporary));
      at += got;
    }
    INSTAR_CHECK(files::sync_fd(out.get(), temporary));
  }
  if (::rename(temporary.c_str(), file("index").c_str()) != 0) return files::os_error("renaming", temporary, errno);
  return files::sync_folder(folder_);
}

std::optional<ChunkRef> ArtifactStage::chunk(std::uint32_t ordinal) const {
  if (ordinal < head_count()) return pack_.head[ordinal];
  const std::uint32_t body = ordinal - head_count();
  if (body >= body_.size() || !sealed_) return std::nullopt;
  return body_[body].ref;
}

bool ArtifactStage::has(std::uint32_t ordinal) const {
  if (ordinal < head_count()) return head_have_[ordinal];
  const std::uint32_t body = ordinal - head_count();
  return body < have_.size() && have_[body];
}

bool ArtifactStage::has_all() const noexcept {
  return held_ || (sealed_ && std::ranges::all_of(have_, [](bool have) { return have; }));
}

bool ArtifactStage::is_pending(std::uint32_t ordinal) const {
  return std::ranges::any_of(pending_, [&](const Pending& pending) { return pending.ordinal == ordinal; });
}

Status ArtifactStage::store(std::uint32_t ordinal, ByteView decoded, bool fetched) {
  if (ordinal < head_count()) {
    INSTAR_CHECK(files::write_all_at(head_file_.get(), decoded, head_offsets_[ordinal], file("head")));
    head_have_[ordinal] = true;
  } else {
    const std::uint32_t body = ordinal - head_count();
    INSTAR_CHECK(write_body(body, decoded));
    INSTAR_CHECK(written_->set(body, true));
    have_[body] = true;
  }
  pending_.push_back({ordinal, fetched});
  pending_bytes_ += decoded.size();
  return {};
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
    INSTAR_CHECK(files::write_all_at(open_file_.get(), part, range.file_offset, tree_.shown(path)));
  }
  return {};
}

Result<std::vector<std::uint32_t>> ArtifactStage::mark_durable() {
  std::vector<std::uint32_t> fetched;
  bool any_body = false;
  for (const Pending& pending : pending_) {
    if (pending.fetched) fetched.push_back(pending.ordinal);
    if (pending.ordinal < head_count()) continue;
    INSTAR_CHECK(durable_->set(pending.ordinal - head_count(), true));
    any_body = true;
  }
  if (any_body) INSTAR_CHECK(durable_->sync());
  pending_.clear();
  pending_bytes_ = 0;
  return fetched;
}

revision::StagingWants ArtifactStage::wants(std::uint32_t revision, std::optional<Half> half, bool exact) const {
  revision::StagingWants wants;
  wants.revision = revision;
  wants.pack = pack_.id;
  wants.exact = exact;
  if (held_) return wants;
  const auto count = exact ? head_count() + static_cast<std::uint32_t>(body_.size()) : head_count();
  bool joins = false;  // the range before goes on
  for (std::uint32_t ordinal = exact ? head_count() : 0; ordinal < count; ++ordinal) {
    if (has(ordinal)) {
      joins = false;
      continue;
    }
    const std::uint32_t held = half && half->ordinal == ordinal ? half->bytes : 0;
    if (joins && held == 0) {
      ++wants.ranges.back().count;
    } else {
      wants.ranges.push_back({ordinal, 1, held});
    }
    joins = true;
    const std::uint32_t bytes = chunk(ordinal)->encoded_bytes;
    wants.chunk_bytes.push_back(bytes);
    wants.bytes_wanted += bytes;
  }
  return wants;
}

}  // namespace instar::device
