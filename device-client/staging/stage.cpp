// Keeps track of chunks as they arrive, for both ways of staging.
#include "device-client/staging/stage.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "core/artifact/image.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "files/files.hpp"

namespace instar::device {

using artifact::ChunkRef;

Status Stage::open_folders() {
  INSTAR_CHECK(files::make_folders(setup_.folder, 0700));
  INSTAR_TRY(tree_, StagingTree::make(file("tree")));
  tree_.use_time(setup_.time);
  running_.open(setup_.running);
  for (const ChunkRef& ref : setup_.pack.head) head_offsets_.push_back(head_offsets_.back() + ref.decoded_bytes);
  head_have_.assign(setup_.pack.head.size(), false);
  return {};
}

void Stage::remove_files(std::initializer_list<const char*> names) {
  for (const char* name : names) ::unlink(file(name).c_str());
}

Result<bool> Stage::check_head() {
  if (!head_file_.is_open()) {
    INSTAR_TRY(head_file_, files::open_file(file("head"), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  }
  if (head_checked_ == head_count()) return true;
  const ChunkRef& ref = setup_.pack.head[head_checked_];
  if (ref.decoded_bytes > limits::kChunkDecodedBytesMax)
    return fail(Code::too_large, "a head chunk is larger than a chunk can be");
  Bytes decoded(ref.decoded_bytes);
  INSTAR_TRY(const std::size_t got,
             files::read_at(head_file_.get(), decoded, head_offsets_[head_checked_], file("head")));
  head_have_[head_checked_] = got == decoded.size() && trust::digest(decoded) == ref.hash;
  ++head_checked_;
  return head_checked_ == head_count();
}

bool Stage::is_head_complete() const noexcept {
  return std::ranges::all_of(head_have_, [](bool have) { return have; });
}

void Stage::take_body(ChunkBits durable, std::uint32_t count) {
  durable_ = std::move(durable);
  have_.assign(count, false);
  for (std::uint32_t i = 0; i < count; ++i) have_[i] = durable_->test(i);
  body_known_ = true;
}

Status Stage::check_entry(const artifact::Entry& entry) {
  INSTAR_CHECK(xattrs_.check(entry));
  if (setup_.artifact.kind == wire::ArtifactKind::image) return artifact::check_image_entry(entry);
  return setup_.volumes.check(entry);
}

std::optional<ChunkRef> Stage::chunk(std::uint32_t ordinal) const {
  if (ordinal < head_count()) return setup_.pack.head[ordinal];
  const std::uint32_t body = ordinal - head_count();
  if (!body_known_ || body >= have_.size()) return std::nullopt;
  return body_chunk(body);
}

bool Stage::has(std::uint32_t ordinal) const {
  if (ordinal < head_count()) return head_have_[ordinal];
  const std::uint32_t body = ordinal - head_count();
  return body < have_.size() && have_[body];
}

bool Stage::has_all() const noexcept {
  return held_ || (body_known_ && std::ranges::all_of(have_, [](bool have) { return have; }));
}

bool Stage::is_pending(std::uint32_t ordinal) const {
  return std::ranges::any_of(pending_, [&](const Pending& pending) { return pending.ordinal == ordinal; });
}

Status Stage::store(std::uint32_t ordinal, ByteView decoded, bool fetched) {
  if (ordinal < head_count()) {
    INSTAR_CHECK(files::write_all_at(head_file_.get(), decoded, head_offsets_[ordinal], file("head")));
    head_have_[ordinal] = true;
  } else {
    const std::uint32_t body = ordinal - head_count();
    INSTAR_CHECK(write_body(body, decoded));
    have_[body] = true;
  }
  pending_.push_back({ordinal, fetched});
  pending_bytes_ += decoded.size();
  return {};
}

void Stage::note_found(std::uint32_t body, std::uint64_t bytes) {
  pending_.push_back({head_count() + body, false});
  pending_bytes_ += bytes;
}

Result<std::vector<std::uint32_t>> Stage::mark_durable() {
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

revision::StagingWants Stage::wants(std::uint32_t revision, std::optional<Half> half, bool exact) const {
  revision::StagingWants wants;
  wants.revision = revision;
  wants.pack = setup_.pack.id;
  wants.exact = exact;
  if (held_) return wants;
  const auto count = exact ? head_count() + static_cast<std::uint32_t>(have_.size()) : head_count();
  bool joins = false;  // the chunk extends the range before it
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

Result<bool> Stage::seal_folders(StagingSlice slice) {
  if (!folders_) {
    INSTAR_TRY(folders_, IndexStream::open(file("index"), setup_.rules));
  }
  for (; slice.entries > 0; --slice.entries) {
    INSTAR_TRY(const artifact::Entry* entry, folders_->next());
    if (entry == nullptr) {
      folders_.reset();
      return true;
    }
    if (entry->type != artifact::EntryType::directory) continue;
    INSTAR_TRY(const files::Fd folder, tree_.open_folder(entry->path));
    INSTAR_CHECK(tree_.set_metadata(folder.get(), *entry));
  }
  return false;
}

}  // namespace instar::device
