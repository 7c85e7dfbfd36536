// Files that are copied or decoded. They are hashed on the way, and noted in the log when they are finished.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/assert.hpp"
#include "device-client/staging/delta_build.hpp"
#include "files/files.hpp"
#include "files/sparse.hpp"

namespace instar::device {

namespace {

constexpr std::size_t kCopyBytes = 64 * 1024;
// Bytes of new files between two syncs. A power cut loses at most these and the current file.
constexpr std::uint64_t kSyncBytes = 4 * 1024 * 1024;

Result<struct stat> look_at(int fd, const std::string& shown) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return files::os_error("looking at", shown, errno);
  return status;
}

}  // namespace

Status DeltaBuild::begin_decode() {
  if (!parts_.decoder) return fail(Code::malformed, "the index wants files that the pack does not rebuild");
  INSTAR_TRY(auto start, parts_.decoder->next_file());
  if (!start) return fail(Code::malformed, "the pack rebuilds fewer files than its index wants");
  start_ = std::move(*start);
  made_by_ = Task::decode;
  source_.clear();
  if (start_.base == delta::BaseKind::same_path) source_ = now_.source.empty() ? entry().path : now_.source;
  if (start_.base == delta::BaseKind::path) source_ = start_.base_path;
  INSTAR_TRY(const bool rehashing, begin_rehash());
  return rehashing ? Status{} : begin_making();
}

Result<bool> DeltaBuild::begin_rehash() {
  INSTAR_TRY(const auto logged, parts_.log.find(number_));
  if (!logged) return false;
  auto file = parts_.tree->open_file(entry().path, false);
  if (!file) return false;
  logged_ = *logged;
  hashing_.emplace(std::move(*file));
  task_ = Task::rehash;
  return true;
}

// Nothing finished is there.
Status DeltaBuild::begin_making() {
  if (made_by_ == Task::decode) {
    from_.close();
    from_bytes_ = 0;
    if (!source_.empty()) {
      if (parts_.base->damaged_bytes(source_)) {
        task_ = Task::skip_lost;
        return {};
      }
      auto opened = parts_.base->tree().open_file(source_, false);
      if (!opened)
        return fail(Code::corrupt, "\"" + entry().path + "\" is to be made from a file that is not in the base: " +
                                       opened.error().message);
      from_ = std::move(*opened);
      INSTAR_TRY(const auto status, look_at(from_.get(), source_));
      from_bytes_ = static_cast<std::uint64_t>(status.st_size);
    }
  }
  noted_ = {};
  if (made_by_ == Task::decode && start_.is_blocks) {
    INSTAR_TRY(const bool goes_on, begin_reread());
    if (goes_on) return {};
  }
  // No room is taken ahead, because a part of it may be holes. The space was counted before anything was fetched.
  INSTAR_TRY(out_, parts_.tree->replace_file(entry().path, 0));
  out_bytes_ = 0;
  out_hash_ = trust::Hasher();
  task_ = made_by_;
  return {};
}

Result<bool> DeltaBuild::begin_reread() {
  const auto noted = parts_.progress.find(number_);
  if (!noted || noted->bytes == 0) return false;
  auto file = parts_.tree->open_file(entry().path, true);
  if (!file) return false;
  const std::string shown = parts_.tree->shown(entry().path);
  INSTAR_TRY(const auto status, look_at(file->get(), shown));
  if (status.st_nlink != 1 || static_cast<std::uint64_t>(status.st_size) < noted->bytes) return false;
  if (::ftruncate(file->get(), static_cast<off_t>(noted->bytes)) != 0) return files::os_error("sizing", shown, errno);
  out_ = std::move(*file);
  out_bytes_ = 0;
  out_hash_ = trust::Hasher();
  noted_ = *noted;
  task_ = Task::reread;
  return true;
}

Result<bool> DeltaBuild::work(std::uint64_t& bytes) {
  switch (task_) {
    case Task::rehash: return rehash(bytes);
    case Task::copy: return copy(bytes);
    case Task::reread: return reread(bytes);
    case Task::decode: return decode(bytes);
    case Task::skip:
    case Task::skip_lost: return skip(bytes);
    case Task::hash_source: return hash_source(bytes);
    case Task::none: break;
  }
  return true;
}

// Hashes a file that the log says is finished. Its metadata were set before it was noted, but a power cut may have lost
// them.
Result<bool> DeltaBuild::rehash(std::uint64_t& bytes) {
  const std::string shown = parts_.tree->shown(entry().path);
  const auto digest = hashing_->hash_some(bytes, shown);
  if (digest && !*digest) return false;
  bool whole = digest && **digest == logged_;
  if (whole) {
    INSTAR_TRY(const auto status, look_at(hashing_->fd(), shown));
    if (status.st_nlink == 1) {
      INSTAR_CHECK(parts_.tree->set_metadata(hashing_->fd(), entry()));
    } else {
      INSTAR_TRY(const std::uint64_t metadata, metadata_digest(hashing_->fd(), shown, entry().time.has_value()));
      whole = metadata == metadata_digest(entry());
    }
  }
  const std::uint64_t size = hashing_->size();
  hashing_.reset();
  if (!whole) {
    INSTAR_CHECK(begin_making());
    return true;
  }
  from_.close();
  if (made_by_ == Task::decode) {
    out_bytes_ = size;
    task_ = Task::skip;
    return true;
  }
  task_ = Task::none;
  INSTAR_CHECK(take_content(size, logged_));
  return true;
}

Result<bool> DeltaBuild::copy(std::uint64_t& bytes) {
  Bytes buffer(kCopyBytes);
  while (bytes > 0) {
    INSTAR_TRY(const std::size_t got, files::read_at(from_.get(), buffer, out_bytes_, source_));
    INSTAR_CHECK(write_out(ByteView(buffer).first(got)));
    bytes -= std::min<std::uint64_t>(bytes, got);
    if (got < buffer.size()) {
      INSTAR_CHECK(finish_made());
      return true;
    }
  }
  return false;
}

// If the bytes are not what they were, the hash of the index shows it, and all is made again.
Result<bool> DeltaBuild::reread(std::uint64_t& bytes) {
  Bytes buffer(kCopyBytes);
  while (out_bytes_ < noted_.bytes) {
    if (bytes == 0) return false;
    const auto some = std::span(buffer).first(std::min<std::size_t>(kCopyBytes, noted_.bytes - out_bytes_));
    INSTAR_TRY(const std::size_t got, files::read_at(out_.get(), some, out_bytes_, parts_.tree->shown(entry().path)));
    if (got != some.size()) return fail(Code::corrupt, parts_.tree->shown(entry().path) + " became shorter");
    out_hash_.update(some);
    out_bytes_ += got;
    bytes -= std::min<std::uint64_t>(bytes, got);
  }
  parts_.decoder->resume(noted_);
  task_ = Task::decode;
  return true;
}

// What is noted must be on the disk, but for what is made again all the same.
Status DeltaBuild::note_progress() {
  const delta::BlockProgress now = parts_.decoder->progress();
  if (now.bytes < noted_.bytes + kSyncBytes) return {};
  INSTAR_CHECK(files::sync_file_system(parts_.tree->path()));
  INSTAR_CHECK(parts_.progress.note(number_, now));
  noted_ = now;
  return {};
}

Result<bool> DeltaBuild::decode(std::uint64_t& bytes) {
  const std::uint64_t before = out_bytes_;
  delta::Base base;
  if (from_.is_open()) {
    base.size = from_bytes_;
    base.read = [this](std::uint64_t offset, std::span<std::uint8_t> out) {
      return files::read_at(from_.get(), out, offset, source_);
    };
  }
  INSTAR_TRY(const bool ended, parts_.decoder->decode(
                                   base, [this](ByteView out) { return write_out(out); }, bytes));
  bytes -= std::min(bytes, out_bytes_ - before);
  if (!ended) {
    bytes = 0;
    if (start_.is_blocks) INSTAR_CHECK(note_progress());
    return false;
  }
  if (start_.has_size() && out_bytes_ != start_.size) {
    return fail(Code::malformed, "\"" + entry().path + "\" has " + std::to_string(out_bytes_) +
                                     " bytes, the pack promised " + std::to_string(start_.size));
  }
  INSTAR_CHECK(finish_made());
  return true;
}

Result<bool> DeltaBuild::skip(std::uint64_t& bytes) {
  INSTAR_TRY(const bool ended, parts_.decoder->skip(bytes));
  if (!ended) {
    bytes = 0;
    return false;
  }
  const bool lost = task_ == Task::skip_lost;
  task_ = Task::none;
  if (lost) {
    INSTAR_CHECK(lose(start_.size));
  } else {
    INSTAR_CHECK(take_content(out_bytes_, logged_));
  }
  return true;
}

Result<bool> DeltaBuild::hash_source(std::uint64_t& bytes) {
  INSTAR_TRY(const auto digest, hashing_->hash_some(bytes, parts_.tree->shown(entry().path)));
  if (!digest) return false;
  const std::uint64_t size = hashing_->size();
  hashing_.reset();
  task_ = Task::none;
  INSTAR_CHECK(take_content(size, *digest));
  return true;
}

Status DeltaBuild::write_out(ByteView bytes) {
  if (made_by_ == Task::decode && start_.has_size() && bytes.size() > start_.size - out_bytes_) {
    return fail(Code::malformed, "\"" + entry().path + "\" grows over the " + std::to_string(start_.size) +
                                     " bytes that the pack promised");
  }
  INSTAR_CHECK(files::write_with_holes(out_.get(), bytes, out_bytes_, parts_.tree->shown(entry().path)));
  out_hash_.update(bytes);
  out_bytes_ += bytes.size();
  return {};
}

// Sets the metadata first and notes the file then, so that a noted file is finished.
Status DeltaBuild::finish_made() {
  const std::string shown = parts_.tree->shown(entry().path);
  if (::ftruncate(out_.get(), static_cast<off_t>(out_bytes_)) != 0) return files::os_error("sizing", shown, errno);
  INSTAR_CHECK(parts_.tree->set_metadata(out_.get(), entry()));
  const Hash256 content = out_hash_.finish();
  out_.close();
  from_.close();
  INSTAR_CHECK(parts_.log.note(number_, content));
  task_ = Task::none;
  INSTAR_CHECK(take_content(out_bytes_, content));
  unsynced_ += out_bytes_;
  if (unsynced_ < kSyncBytes) return {};
  unsynced_ = 0;
  return files::sync_file_system(parts_.tree->path());
}

}  // namespace instar::device
