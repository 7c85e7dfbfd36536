// What one artifact can take from this device: files that are linked and chunks that are copied. Prepares the tree for
// the rest.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/artifact/codec.hpp"
#include "core/base/assert.hpp"
#include "device-client/staging/content_stage.hpp"
#include "files/files.hpp"
#include "files/sparse.hpp"

namespace instar::device {

using artifact::BodyChunk;
using artifact::Entry;
using artifact::EntryType;

namespace {
constexpr std::size_t kLayoutReadBytes = 256 * 1024;
}  // namespace

bool ArtifactStage::shares_first(const ContentRow& row) const {
  return !row.first && contents_.rows()[contents_.with_content(row.content)[0]].metadata == row.metadata;
}

std::vector<ArtifactStage::Candidate> ArtifactStage::link_candidates(const Neighbours& neighbours,
                                                                     const ContentRow& row) const {
  std::vector<Candidate> candidates;
  if (shares_first(row)) return candidates;
  for (std::size_t i = 0; i < neighbours.sources.size(); ++i) {
    const StagingSource& source = neighbours.sources[i];
    if (!source.is_complete()) continue;
    for (const std::uint32_t other : source.contents().with_content(row.content)) {
      if (source.contents().rows()[other].metadata == row.metadata)
        candidates.push_back({static_cast<std::uint16_t>(i), other});
    }
  }
  std::ranges::reverse(candidates);  // the last one is tried first, so the best comes last
  return candidates;
}

std::optional<bool> ArtifactStage::is_true(const Neighbours& neighbours, const Candidate& candidate,
                                           const ContentRow& row, std::uint64_t& bytes) {
  const StagingSource& source = neighbours.sources[candidate.source];
  const std::string path = source.contents().path(source.contents().rows()[candidate.row]);
  if (!hashing_) {
    auto opened = source.tree().open_file(path, false);
    if (!opened) return false;
    const auto metadata = metadata_digest(opened->get(), path, row.timed);
    if (!metadata || *metadata != row.metadata) return false;
    hashing_.emplace(std::move(*opened));
  }
  const auto digest = hashing_->hash_some(bytes, source.tree().shown(path));
  if (digest && !*digest) return std::nullopt;
  hashing_.reset();
  return digest && **digest == row.content;
}

// A linked file brings its time along. Where that would hide a change, the file is copied, and gets a time of its own.
Result<ArtifactStage::Plan> ArtifactStage::plan_with(const Neighbours& neighbours, const Candidate& candidate,
                                                     const ContentRow& row) const {
  const StagingSource& source = neighbours.sources[candidate.source];
  const std::string path = source.contents().path(source.contents().rows()[candidate.row]);
  bool linked = row.timed;
  if (!linked) {
    INSTAR_TRY(linked, running_.allow_link(contents_.path(row), source.tree(), path));
  }
  return Plan{linked ? From::link : From::copy, candidate.source, candidate.row};
}

ArtifactStage::Plan ArtifactStage::plan_without_link(const Neighbours& neighbours, std::uint32_t index) const {
  const ContentRow& row = contents_.rows()[index];
  if (!row.first) return {From::alias, 0, contents_.with_content(row.content)[0]};
  std::optional<Plan> other_metadata;
  for (std::size_t i = 0; i < neighbours.earlier.size(); ++i) {
    const ContentTable& contents = neighbours.earlier[i]->contents_;
    for (const std::uint32_t candidate : contents.with_content(row.content)) {
      const Plan plan{From::sibling, static_cast<std::uint16_t>(i), candidate};
      if (contents.rows()[candidate].metadata == row.metadata) return plan;
      if (!other_metadata) other_metadata = plan;
    }
  }
  return other_metadata.value_or(Plan{});
}

Result<bool> ArtifactStage::match(const Neighbours& neighbours, StagingSlice slice) {
  INSTAR_ASSERT(sealed_);
  plans_.resize(contents_.rows().size());
  while (match_at_ < plans_.size()) {
    const ContentRow& row = contents_.rows()[match_at_];
    if (!candidates_) candidates_ = link_candidates(neighbours, row);
    plans_[match_at_] = {};
    while (!candidates_->empty()) {
      const Candidate candidate = candidates_->back();
      const auto verdict = is_true(neighbours, candidate, row, slice.bytes);
      if (!verdict) return false;
      if (*verdict) {
        INSTAR_TRY(plans_[match_at_], plan_with(neighbours, candidate, row));
        break;
      }
      const StagingSource& source = neighbours.sources[candidate.source];
      setup_.log(LogLevel::warning,
                 source.tree().shown(source.contents().path(source.contents().rows()[candidate.row])) +
                     " is not what its index says any more: it is not used for the new revision");
      candidates_->pop_back();
    }
    if (candidates_->empty()) plans_[match_at_] = plan_without_link(neighbours, match_at_);
    candidates_.reset();
    ++match_at_;
    if (--slice.entries == 0 || slice.bytes == 0) return match_at_ == plans_.size();
  }
  return true;
}

bool ArtifactStage::is_matched_whole() const noexcept {
  return sealed_ && match_at_ == contents_.rows().size() &&
         std::ranges::none_of(plans_, [](const Plan& plan) { return plan.from == From::fetch; });
}

std::uint64_t ArtifactStage::bytes_on_disk(const Neighbours& neighbours, std::uint32_t index,
                                           std::uint64_t block_bytes) const {
  const ContentRow& row = contents_.rows()[index];
  const std::uint64_t all = (row.size + block_bytes - 1) / block_bytes * block_bytes;
  if (plans_[index].from == From::copy) {
    const StagingSource& source = neighbours.sources[plans_[index].neighbour];
    return std::min(all,
                    source.tree().allocated_bytes(source.contents().path(source.contents().rows()[plans_[index].row])));
  }
  if (hole_blocks_.empty()) return all;
  return all - std::min(all, hole_blocks_[contents_.with_content(row.content)[0]] * artifact::kHoleBytes);
}

SpaceNeed ArtifactStage::space_needed(const Neighbours& neighbours, std::uint64_t block_bytes) const {
  SpaceNeed need;
  const bool laid_out = files::exists(file("laid-out"));
  if (!laid_out) {
    need.bytes += (folder_count_ + link_count_) * block_bytes;
    need.inodes += folder_count_ + link_count_ + empty_count_ + special_count_;
  }
  for (std::size_t i = 0; i < plans_.size(); ++i) {
    const ContentRow& row = contents_.rows()[i];
    const Plan& plan = plans_[i];
    if (plan.from == From::link || shares_first(row)) continue;
    if (plan.from == From::sibling &&
        neighbours.earlier[plan.neighbour]->contents_.rows()[plan.row].metadata == row.metadata)
      continue;
    const std::uint64_t there = laid_out ? tree_.allocated_bytes(contents_.path(row)) : 0;
    const std::uint64_t all = bytes_on_disk(neighbours, static_cast<std::uint32_t>(i), block_bytes);
    need.bytes += all - std::min(all, there);
    need.inodes += there == 0 ? 1 : 0;
  }
  return need;
}

SpaceNeed ArtifactStage::space_foreseen(std::uint64_t& shared_bytes_max) const {
  SpaceNeed need{2 * head_bytes(), 8};
  if (held_ || files::exists(file("laid-out"))) return {};
  const std::uint64_t content = setup_.artifact.content_bytes - setup_.artifact.hole_bytes;
  const std::uint64_t shared = std::min(shared_bytes_max, content);
  shared_bytes_max -= shared;
  need.bytes += content - shared;
  return need;
}

Result<bool> ArtifactStage::take_back_names(StagingSlice slice) {
  if (!sweep_ && files::exists(file("made"))) {
    INSTAR_TRY(sweep_, StagingSweep::open(tree_, file("index"), setup_.rules));
  }
  if (sweep_ && !swept_) {
    INSTAR_TRY(swept_, sweep_->sweep(slice.entries));
    return false;
  }
  if (!walk_) {
    if (!files::exists(file("finishing"))) return true;
    INSTAR_TRY(walk_, IndexStream::open(file("index"), setup_.rules));
    walk_row_ = 0;
  }
  for (; slice.entries > 0; --slice.entries) {
    INSTAR_TRY(const Entry* entry, walk_->next());
    if (entry == nullptr) {
      walk_.reset();
      if (::unlink(file("finishing").c_str()) != 0) return files::os_error("removing", file("finishing"), errno);
      return true;
    }
    bool further = entry->type == EntryType::hardlink;
    if (entry->type == EntryType::file && entry->size > 0) {
      const From from = plans_[walk_row_++].from;
      further = from == From::alias || from == From::sibling;
    }
    if (further) INSTAR_CHECK(tree_.remove(entry->path));
  }
  return false;
}

Result<bool> ArtifactStage::lay_out(const Neighbours& neighbours, StagingSlice slice) {
  if (!walk_) {
    INSTAR_TRY(walk_, IndexStream::open(file("index"), setup_.rules));
    walk_row_ = 0;
  }
  for (; slice.entries > 0; --slice.entries) {
    INSTAR_TRY(const Entry* entry, walk_->next());
    if (entry == nullptr) {
      if (walk_->id() != setup_.artifact.id)
        return fail(Code::corrupt, file("index") + " does not match the signed artifact any more");
      walk_.reset();
      INSTAR_TRY(const files::Fd marker, files::open_file(file("laid-out"), O_WRONLY | O_CREAT | O_NOFOLLOW, 0600));
      return true;
    }
    INSTAR_CHECK(lay_out_entry(neighbours, *entry));
  }
  return false;
}

Status ArtifactStage::lay_out_entry(const Neighbours& neighbours, const Entry& entry) {
  switch (entry.type) {
    case EntryType::directory: return tree_.make_folder(entry.path);
    case EntryType::file: return lay_out_file(neighbours, entry);
    case EntryType::symlink: return tree_.make_symlink(entry);
    case EntryType::hardlink: return {};
    case EntryType::char_device:
    case EntryType::block_device:
    case EntryType::fifo: return tree_.make_special(entry);
  }
  return {};
}

Status ArtifactStage::lay_out_file(const Neighbours& neighbours, const Entry& entry) {
  if (entry.size == 0) return tree_.make_file(entry.path, 0);
  INSTAR_ASSERT(walk_row_ < plans_.size());
  const std::uint32_t index = walk_row_++;
  const ContentRow& row = contents_.rows()[index];
  Plan& plan = plans_[index];
  if (plan.from == From::alias || plan.from == From::sibling) return {};
  if (plan.from == From::copy) return copy_content(neighbours.sources[plan.neighbour], plan.row, entry);
  if (plan.from == From::link) {
    const StagingSource& source = neighbours.sources[plan.neighbour];
    const std::string source_path = source.contents().path(source.contents().rows()[plan.row]);
    INSTAR_TRY(const StagingTree::Linked linked, tree_.link(entry.path, source.tree(), source_path));
    if (linked == StagingTree::Linked::yes) return {};
    plan.from = From::copy;
    return copy_content(source, plan.row, entry);
  }
  if (tree_.is_own_file(entry.path, entry.size)) return {};
  INSTAR_CHECK(forget_chunks_of(row));
  return make_room(index, entry);
}

Status ArtifactStage::make_room(std::uint32_t index, const Entry& entry) {
  if (hole_blocks_.empty() || hole_blocks_[index] == 0) return tree_.make_file(entry.path, entry.size);
  INSTAR_TRY(const files::Fd out, tree_.replace_file(entry.path, 0));
  const std::string shown = tree_.shown(entry.path);
  if (::ftruncate(out.get(), static_cast<off_t>(entry.size)) != 0) return files::os_error("sizing", shown, errno);
  for (const std::uint32_t body : chunks_of(contents_.rows()[index])) {
    if (zeros_[body]) continue;
    for (const ContentRange& range : contents_.ranges(body_[body].offset, body_[body].ref.decoded_bytes)) {
      if (range.row == index) INSTAR_CHECK(files::take_room_at(out.get(), range.file_offset, range.bytes, shown));
    }
  }
  return {};
}

Status ArtifactStage::copy_content(const StagingSource& source, std::uint32_t source_row, const Entry& entry) {
  INSTAR_TRY(const files::Fd out, tree_.replace_file(entry.path, 0));
  if (::ftruncate(out.get(), static_cast<off_t>(entry.size)) != 0)
    return files::os_error("sizing", tree_.shown(entry.path), errno);
  Bytes buffer(kLayoutReadBytes);
  for (std::uint64_t at = 0; at < entry.size;) {
    const auto part =
        std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), entry.size - at)));
    INSTAR_CHECK(source.read_content(source_row, at, part));
    INSTAR_CHECK(files::write_with_holes(out.get(), part, at, tree_.shown(entry.path)));
    at += part.size();
  }
  return {};
}

std::vector<std::uint32_t> ArtifactStage::chunks_of(const ContentRow& row) const {
  std::vector<std::uint32_t> chunks;
  auto at = std::ranges::upper_bound(body_, row.offset, {}, &BodyChunk::offset);
  if (at != body_.begin()) --at;
  for (; at != body_.end() && at->offset < row.offset + row.size; ++at)
    chunks.push_back(static_cast<std::uint32_t>(at - body_.begin()));
  return chunks;
}

// The file of `row` is about to be made again, which loses the chunks in it. Notes that durably before it happens.
Status ArtifactStage::forget_chunks_of(const ContentRow& row) {
  bool changed = false;
  for (const std::uint32_t body : chunks_of(row)) {
    changed = changed || durable_->test(body);
    INSTAR_CHECK(durable_->set(body, false));
    INSTAR_CHECK(written_->set(body, false));
    have_[body] = false;
  }
  if (changed) return durable_->sync();
  return {};
}

bool ArtifactStage::needs_nothing(std::uint32_t body) const {
  return std::ranges::none_of(contents_.ranges(body_[body].offset, body_[body].ref.decoded_bytes),
                              [&](const ContentRange& range) { return plans_[range.row].from == From::fetch; });
}

Result<bool> ArtifactStage::fill(const Neighbours& neighbours, StagingSlice slice) {
  if (held_) return true;
  while (fill_at_ < body_.size()) {
    const std::uint32_t body = fill_at_++;
    if (have_[body]) continue;
    if (needs_nothing(body)) {
      have_[body] = true;
      continue;
    }
    auto found = written_->test(body) ? read_back(body) : std::nullopt;
    if (!found && zeros_[body]) {
      INSTAR_CHECK(fill_zeros(body));
    } else if (found) {
      // A process that was killed wrote this chunk. It is in the file, but it may not have reached the disk.
      have_[body] = true;
      note_found(body, found->size());
    } else if ((found = find_locally(neighbours, body))) {
      INSTAR_CHECK(store(head_count() + body, *found, false));
    }
    const std::uint64_t cost = body_[body].ref.decoded_bytes;
    if (slice.bytes <= cost) return fill_at_ == body_.size();
    slice.bytes -= cost;
  }
  return true;
}

// A new file has its zeros already. Only one that was there before may have something else in their place.
Status ArtifactStage::fill_zeros(std::uint32_t body) {
  if (read_back(body)) {
    have_[body] = true;
    return {};
  }
  return store(head_count() + body, Bytes(body_[body].ref.decoded_bytes), false);
}

std::optional<Bytes> ArtifactStage::read_back(std::uint32_t body) const {
  const BodyChunk& chunk = body_[body];
  Bytes bytes(chunk.ref.decoded_bytes);
  std::size_t done = 0;
  for (const ContentRange& range : contents_.ranges(chunk.offset, chunk.ref.decoded_bytes)) {
    const std::string path = contents_.path(contents_.rows()[range.row]);
    const auto opened = tree_.open_file(path, false);
    if (!opened) return std::nullopt;
    const auto got =
        files::read_at(opened->get(), std::span(bytes).subspan(done, range.bytes), range.file_offset, path);
    if (!got || *got != range.bytes) return std::nullopt;
    done += range.bytes;
  }
  if (trust::digest(bytes) != chunk.ref.hash) return std::nullopt;
  return bytes;
}

// Looks for equal contents first, for files that differ in metadata or order only. Then looks for chunks.
std::optional<Bytes> ArtifactStage::find_locally(const Neighbours& neighbours, std::uint32_t body) {
  const BodyChunk& chunk = body_[body];
  Bytes bytes(chunk.ref.decoded_bytes);
  std::size_t done = 0;
  for (const ContentRange& range : contents_.ranges(chunk.offset, chunk.ref.decoded_bytes)) {
    const Hash256& content = contents_.rows()[range.row].content;
    const bool read = std::ranges::any_of(neighbours.sources, [&](const StagingSource& source) {
      const auto row = source.find_content(content);
      return row &&
             source.read_content(*row, range.file_offset, std::span(bytes).subspan(done, range.bytes)).has_value();
    });
    if (!read) break;
    done += range.bytes;
  }
  if (done == bytes.size() && trust::digest(bytes) == chunk.ref.hash) return bytes;
  for (const StagingSource& source : neighbours.sources) {
    const ChunkPlace* place = source.find(setup_.pack.kind, chunk.ref.hash);
    if (place == nullptr || place->bytes != chunk.ref.decoded_bytes) continue;
    auto read = source.read(place->offset, place->bytes);
    if (read && trust::digest(*read) == chunk.ref.hash) return std::move(*read);
  }
  return std::nullopt;
}

}  // namespace instar::device
