// Finds what a delta needs of this device before any of its body is fetched: an undamaged base, and space.
#include <sys/stat.h>

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "device-client/staging/delta_stage.hpp"
#include "files/files.hpp"

namespace instar::device {

using artifact::Entry;
using artifact::EntryType;
using delta::ContentFrom;

namespace {

std::uint64_t in_blocks(std::uint64_t bytes) noexcept {
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

// The entries of a tree that is equal to its base.
DeltaBuild::Entries same_entries(const DeltaBase& base, std::unique_ptr<IndexStream> walk) {
  const std::shared_ptr<IndexStream> stream = std::move(walk);
  const auto current = std::make_shared<delta::NewEntry>();
  return [&base, stream, current]() -> Result<const delta::NewEntry*> {
    INSTAR_TRY(const Entry* entry, stream->next());
    if (entry == nullptr) return nullptr;
    *current = {*entry, delta::has_content(*entry) ? ContentFrom::base : ContentFrom::none, "",
                base.has_true_metadata(entry->path)};
    return current.get();
  };
}

}  // namespace

Result<bool> DeltaStage::find_held(const Neighbours&, StagingSlice slice) {
  if (held_ || given_up_) return true;
  // If the tree came out wrong before, this way is not used again.
  const HeldArtifact* own = files::exists(file("redone")) ? nullptr : find(setup_.artifact.id);
  if (own != nullptr) {
    if (!base_) {
      if (auto opened = DeltaBase::open(*own, setup_.log)) base_ = std::move(*opened);
    }
    if (base_) {
      const auto proven = base_->prove(slice);
      if (proven && !*proven) return false;
      proven_ = held_ = proven && base_->damaged_files() == 0;
      if (held_) return true;
    }
    base_.reset();
    held_artifacts_.erase(held_artifacts_.begin() + (own - held_artifacts_.data()));
    return false;
  }
  if (find(setup_.pack.base) == nullptr) {
    give_up(Error{Code::not_found, "artifact " + setup_.pack.base.short_hex() +
                                       ", which it is made from, is not on this device any more"});
  }
  return true;
}

Result<bool> DeltaStage::match(const Neighbours&, StagingSlice slice) {
  if (given_up_ || surveyed_) return true;
  if (!proven_) {
    const HeldArtifact* held = find(setup_.pack.base);
    INSTAR_ASSERT(held != nullptr);
    if (!base_) {
      auto opened = DeltaBase::open(*held, setup_.log);
      if (!opened) {
        give_up(opened.error());
        return true;
      }
      base_ = std::move(*opened);
    }
    const auto proven = base_->prove(slice);
    if (!proven) {
      if (!blames_pack(proven.error().code)) return fail(proven.error());
      give_up(with_context(proven.error(), "its base"));
      return true;
    }
    proven_ = *proven;
    return false;
  }
  auto surveyed = survey(slice);
  if (surveyed || !blames_pack(surveyed.error().code)) return surveyed;
  give_up(surveyed.error());
  return true;
}

Result<DeltaBuild::Entries> DeltaStage::new_entries() const {
  INSTAR_TRY(auto walk, base_->entries());
  if (held_) return same_entries(*base_, std::move(walk));
  const std::shared_ptr<IndexStream> base = std::move(walk);
  const std::string shown = file("head");
  const auto read = [fd = head_file_.get(), shown, at = head_.index_delta_offset,
                     left = std::uint64_t{head_.header.index_delta_bytes}](
                        std::span<std::uint8_t> out) mutable -> Result<std::size_t> {
    INSTAR_TRY(const std::size_t got,
               files::read_at(fd, out.first(std::min<std::uint64_t>(out.size(), left)), at, shown));
    at += got;
    left -= got;
    return got;
  };
  const auto reader = std::make_shared<delta::IndexDeltaReader>([base] { return base->next(); }, read, setup_.rules);
  return [reader] { return reader->next(); };
}

Result<bool> DeltaStage::survey(StagingSlice slice) {
  if (!survey_) {
    INSTAR_TRY(survey_, new_entries());
  }
  for (; slice.entries > 0; --slice.entries) {
    INSTAR_TRY(const delta::NewEntry* entry, survey_());
    if (entry == nullptr) {
      survey_ = nullptr;
      surveyed_ = true;
      return true;
    }
    INSTAR_CHECK(survey_entry(*entry));
  }
  return false;
}

// Something that takes `bytes` on disk is made for the entry. What an earlier process has made there already needs no
// more space.
void DeltaStage::count_made(const Entry& entry, std::uint64_t bytes) {
  const auto there = tree_.own_bytes(entry.path);
  need_.bytes += bytes;
  there_bytes_ += there.value_or(0);
  if (!there) ++need_.inodes;
}

Status DeltaStage::survey_entry(const delta::NewEntry& next) {
  const Entry& entry = next.entry;
  INSTAR_CHECK(check_entry(entry));
  switch (entry.type) {
    case EntryType::directory: count_made(entry, kBlockBytes); return {};
    case EntryType::symlink: count_made(entry, entry.target.size() < kInlineLinkBytes ? 0 : kBlockBytes); return {};
    case EntryType::char_device:
    case EntryType::block_device:
    case EntryType::fifo: count_made(entry, 0); return {};
    case EntryType::hardlink: return {};
    case EntryType::file: break;
  }
  const std::string& source = next.source.empty() ? entry.path : next.source;
  const bool from_base = next.from == ContentFrom::base || next.from == ContentFrom::base_path;
  // Only the streams show whether a changed file is really made from the base's file of the same path. It very likely
  // is.
  const bool may_use = from_base || next.from == ContentFrom::decode;
  if (const auto damaged = may_use ? base_->damaged_bytes(source) : std::nullopt) {
    ++missing_.files;
    missing_.bytes += *damaged;
  }
  if (next.from == ContentFrom::decode || next.from == ContentFrom::none) {
    count_made(entry, 0);  // the header has the bytes of all decoded files
  } else if (from_base && !entry.content.is_zero() && is_copied(next, source)) {
    // The copy has at least the holes of the base's file.
    count_made(entry, std::min(in_blocks(entry.size), base_->tree().allocated_bytes(source)));
  } else if (next.from == ContentFrom::earlier || entry.content.is_zero()) {
    count_made(entry, 0);  // most are links
  }
  return {};
}

bool DeltaStage::is_copied(const delta::NewEntry& next, const std::string& source) const {
  if (!next.same_metadata || !base_->has_true_metadata(source)) return true;
  if (next.entry.time) return false;
  const auto linked = running_.allow_link(next.entry.path, base_->tree(), source);
  return linked && !*linked;
}

SpaceNeed DeltaStage::space_needed(const Neighbours&, std::uint64_t) const {
  if (given_up_) return {};
  SpaceNeed need = need_;
  if (!held_) need.bytes += head_.header.file_blocks * kBlockBytes;
  need.bytes -= std::min(need.bytes, there_bytes_);
  need.bytes += in_blocks(setup_.artifact.index_bytes);
  need.inodes += 4;
  if (!held_) need.bytes += body_needed();
  return need;
}

SpaceNeed DeltaStage::space_foreseen(std::uint64_t&) const {
  if (held_ || given_up_) return {};
  return {2 * head_bytes() + in_blocks(setup_.artifact.index_bytes) + body_needed(), 8};
}

std::uint64_t DeltaStage::body_needed() const {
  struct stat status {};
  const bool there =
      ::lstat(file("delta").c_str(), &status) == 0 && static_cast<std::uint64_t>(status.st_size) == body_bytes();
  return there ? 0 : in_blocks(body_bytes());
}

}  // namespace instar::device
