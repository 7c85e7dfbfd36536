// The end of staging: every entry of the tree is checked against the index. Files get their further names and all their
// metadata.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/assert.hpp"
#include "device-client/staging/content_stage.hpp"
#include "files/files.hpp"
#include "files/sparse.hpp"

namespace instar::device {

using artifact::Entry;
using artifact::EntryType;

namespace {
constexpr std::size_t kVerifyReadBytes = 256 * 1024;
}  // namespace

Result<bool> ArtifactStage::verify(const Neighbours& neighbours, StagingSlice slice) {
  if (!walk_) {
    INSTAR_TRY(const files::Fd marker, files::open_file(file("finishing"), O_WRONLY | O_CREAT | O_NOFOLLOW, 0600));
    INSTAR_TRY(walk_, IndexStream::open(file("index"), setup_.rules));
    walk_row_ = 0;
    open_row_.reset();
    open_file_.close();
  }
  for (; slice.entries > 0 && slice.bytes > 0; --slice.entries) {
    if (!walk_entry_) {
      INSTAR_TRY(const Entry* entry, walk_->next());
      if (entry == nullptr) {
        if (walk_->id() != setup_.artifact.id)
          return fail(Code::corrupt, file("index") + " does not match the signed artifact any more");
        walk_.reset();
        return true;
      }
      walk_entry_ = *entry;
    }
    INSTAR_TRY(const bool done, verify_entry(neighbours, *walk_entry_, slice.bytes));
    if (!done) return false;
    walk_entry_.reset();
  }
  return false;
}

Status ArtifactStage::note_damage(const std::string& path, const std::string& what) {
  setup_.log(LogLevel::warning, tree_.shown(path) + " " + what + ": it is made again");
  damaged_ = true;
  return tree_.remove(path);
}

Result<bool> ArtifactStage::verify_entry(const Neighbours& neighbours, const Entry& entry, std::uint64_t& bytes) {
  switch (entry.type) {
    case EntryType::directory: return true;
    case EntryType::file: return verify_file(neighbours, entry, bytes);
    case EntryType::symlink: {
      const auto target = tree_.read_symlink(entry.path);
      if (!target || *target != entry.target) INSTAR_CHECK(note_damage(entry.path, "is not the link it should be"));
      return true;
    }
    case EntryType::hardlink: INSTAR_CHECK(give_name(entry, *this, entry.target)); return true;
    case EntryType::char_device:
    case EntryType::block_device:
    case EntryType::fifo: {
      const auto special = tree_.is_special(entry);
      if (!special || !*special) INSTAR_CHECK(note_damage(entry.path, "is not the device node it should be"));
      return true;
    }
  }
  return true;
}

Result<bool> ArtifactStage::verify_file(const Neighbours& neighbours, const Entry& entry, std::uint64_t& bytes) {
  const Plan plan = entry.size == 0 ? Plan{From::copy} : plans_[walk_row_];
  if (plan.from == From::alias || plan.from == From::sibling) {
    const ArtifactStage& owner = plan.from == From::alias ? *this : *neighbours.earlier[plan.neighbour];
    INSTAR_CHECK(give_name(entry, owner, owner.contents_.path(owner.contents_.rows()[plan.row])));
    ++walk_row_;
    return true;
  }
  std::optional<Hash256> digest;
  if (!hashing_) {
    auto opened = tree_.open_file(entry.path, false);
    if (opened) hashing_.emplace(std::move(*opened));
  }
  if (hashing_) {
    const auto some = hashing_->hash_some(bytes, tree_.shown(entry.path));
    if (some && !*some) return false;
    if (some) digest = **some;
  }
  if (entry.size > 0) ++walk_row_;
  if (digest == entry.content) {
    INSTAR_CHECK(finish_file(entry, plan.from));
  } else {
    INSTAR_CHECK(note_damage(entry.path, digest ? "does not have the content it should have" : "cannot be read"));
  }
  hashing_.reset();
  return true;
}

// A linked file has its metadata already. They must not change, because the file belongs to the base too.
Status ArtifactStage::finish_file(const Entry& entry, From from) {
  const int fd = hashing_->fd();
  if (from != From::link) return tree_.set_metadata(fd, entry);
  INSTAR_TRY(const std::uint64_t metadata, metadata_digest(fd, tree_.shown(entry.path), entry.time.has_value()));
  if (metadata == metadata_digest(entry)) return {};
  return note_damage(entry.path, "does not have the mode, owner or xattrs it should have");
}

// `path` of `owner` has been verified and has its metadata.
Status ArtifactStage::give_name(const Entry& entry, const ArtifactStage& owner, const std::string& path) {
  const auto opened = owner.tree_.open_file(path, false);
  if (!opened) {
    if (owner.damaged_) {
      damaged_ = true;
      return {};
    }
    return fail(opened.error());
  }
  const bool hardlink = entry.type == EntryType::hardlink;
  bool same = hardlink;
  if (!hardlink) {
    INSTAR_TRY(const std::uint64_t metadata,
               metadata_digest(opened->get(), owner.tree_.shown(path), entry.time.has_value()));
    same = metadata == metadata_digest(entry);
    if (same && !entry.time) {
      INSTAR_TRY(same, running_.allow_link(entry.path, owner.tree_, path));
    }
  }
  if (same) {
    INSTAR_TRY(const bool linked, groups_.link(tree_, entry.path, owner.tree_, path));
    if (linked) return {};
    if (hardlink) return fail(Code::unsupported, "the file system has no hard links for " + tree_.shown(entry.path));
  }
  return copy_name(entry, opened->get(), owner.tree_.shown(path));
}

Status ArtifactStage::copy_name(const Entry& entry, int from, const std::string& shown) {
  INSTAR_TRY(const files::Fd out, tree_.replace_file(entry.path, 0));
  if (::ftruncate(out.get(), static_cast<off_t>(entry.size)) != 0)
    return files::os_error("sizing", tree_.shown(entry.path), errno);
  Bytes buffer(kVerifyReadBytes);
  for (std::uint64_t at = 0; at < entry.size;) {
    INSTAR_TRY(const std::size_t got, files::read_at(from, buffer, at, shown));
    if (got == 0) return fail(Code::io, shown + " became shorter while it was being read");
    INSTAR_CHECK(files::write_with_holes(out.get(), ByteView(buffer).first(got), at, tree_.shown(entry.path)));
    at += got;
  }
  return tree_.set_metadata(out.get(), entry);
}

void ArtifactStage::clean_up() {
  if (!body_.empty()) {
    std::vector<ChunkPlace> chunks;
    for (const auto& chunk : body_) chunks.push_back({chunk.ref.hash, chunk.offset, chunk.ref.decoded_bytes});
    sort_chunks(chunks);
    // It is only a cache. If it is missing, it is made again from the tree.
    static_cast<void>(write_chunk_cache(file(chunk_cache_name(setup_.pack.kind).c_str()), chunks));
  }
  head_file_.close();
  durable_.reset();
  written_.reset();
  remove_files({"head", "pack", "bitmap", "written", "laid-out", "finishing", "made"});
}

}  // namespace instar::device
