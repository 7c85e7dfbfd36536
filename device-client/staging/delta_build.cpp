// Decides for each entry what it is made from. How files are made: delta_build_files.cpp.
#include "device-client/staging/delta_build.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "device-client/staging/hashing.hpp"
#include "files/files.hpp"

namespace instar::device {

using artifact::Entry;
using artifact::EntryType;
using delta::ContentFrom;

namespace {

// The writer need not look up hard links: the reader of the entries checks that a target is inside the tree, and
// linking checks that it is a file.
artifact::IndexRules writing_rules(artifact::IndexRules rules) {
  rules.hardlinks_looked_up = false;
  return rules;
}

}  // namespace

DeltaBuild::DeltaBuild(Parts parts) : parts_(std::move(parts)) {
  writer_.emplace(
      [this](ByteView bytes) -> Status {
        INSTAR_CHECK(files::write_all_at(parts_.index.get(), bytes, index_bytes_, parts_.index_path));
        index_bytes_ += bytes.size();
        return {};
      },
      writing_rules(parts_.rules));
}

Result<bool> DeltaBuild::step(StagingSlice slice) {
  for (; slice.entries > 0 && slice.bytes > 0; --slice.entries) {
    if (task_ == Task::none) {
      INSTAR_TRY(const delta::NewEntry* next, parts_.entries());
      if (next == nullptr) {
        INSTAR_CHECK(finish());
        return true;
      }
      now_ = *next;
      INSTAR_CHECK(begin_entry());
    }
    while (task_ != Task::none) {
      INSTAR_TRY(const bool done, work(slice.bytes));
      if (!done) return false;
    }
    ++number_;
  }
  return false;
}

Status DeltaBuild::begin_entry() {
  switch (entry().type) {
    case EntryType::directory: INSTAR_CHECK(parts_.tree->make_folder(entry().path)); return append();
    case EntryType::symlink: INSTAR_CHECK(parts_.tree->make_symlink(entry())); return append();
    case EntryType::char_device:
    case EntryType::block_device:
    case EntryType::fifo: INSTAR_CHECK(parts_.tree->make_special(entry())); return append();
    case EntryType::hardlink: return begin_hardlink();
    case EntryType::file: break;
  }
  const std::string source = now_.source.empty() ? entry().path : now_.source;
  switch (now_.from) {
    case ContentFrom::none: return begin_empty();
    case ContentFrom::base:
    case ContentFrom::base_path: {
      if (const auto bytes = parts_.base->damaged_bytes(source)) return lose(*bytes);
      return begin_same(parts_.base->tree(), source, now_.same_metadata && parts_.base->has_true_metadata(source));
    }
    case ContentFrom::earlier: {
      if (is_lost(source)) return lose(0);
      return begin_same(*parts_.tree, source, false);
    }
    case ContentFrom::decode: return begin_decode();
  }
  return fail(Code::internal, "an entry whose content comes from nowhere");
}

Status DeltaBuild::begin_empty() {
  INSTAR_CHECK(parts_.tree->make_file(entry().path, 0));
  INSTAR_TRY(const files::Fd file, parts_.tree->open_file(entry().path, false));
  INSTAR_CHECK(parts_.tree->set_metadata(file.get(), entry()));
  return append();
}

Status DeltaBuild::begin_hardlink() {
  if (is_lost(entry().target)) {
    lost_.push_back(path_key(entry().path));
    INSTAR_CHECK(parts_.tree->remove(entry().path));
    return append();
  }
  if (!parts_.tree->open_file(entry().target, false)) {
    return fail(Code::malformed,
                "\"" + entry().path + "\" is a hard link to \"" + entry().target + "\", which is no file");
  }
  INSTAR_TRY(const bool linked, parts_.groups->link(*parts_.tree, entry().path, *parts_.tree, entry().target));
  if (linked) return append();
  return fail(Code::io, "the file system has no hard links for " + parts_.tree->shown(entry().path));
}

// Takes the content of another file, of the base or of this tree.
Status DeltaBuild::begin_same(const StagingTree& tree, const std::string& source, bool metadata_known) {
  auto opened = tree.open_file(source, false);
  if (!opened)
    return fail(Code::corrupt,
                "\"" + entry().path + "\" is to be made from " + tree.shown(source) + ": " + opened.error().message);
  bool same = metadata_known;
  if (!same) {
    INSTAR_TRY(const std::uint64_t metadata,
               metadata_digest(opened->get(), tree.shown(source), entry().time.has_value()));
    same = metadata == metadata_digest(entry());
  }
  if (same && !entry().time) {
    INSTAR_TRY(same, parts_.running->allow_link(entry().path, tree, source));
  }
  if (same) {
    INSTAR_TRY(const bool linked, parts_.groups->link(*parts_.tree, entry().path, tree, source));
    if (linked) {
      if (!entry().content.is_zero()) return append();
      hashing_.emplace(std::move(*opened));
      task_ = Task::hash_source;
      return {};
    }
  }
  made_by_ = Task::copy;
  source_ = tree.shown(source);
  from_ = std::move(*opened);
  INSTAR_TRY(const bool rehashing, begin_rehash());
  return rehashing ? Status{} : begin_making();
}

Status DeltaBuild::append() {
  if (!writer_) return {};
  return writer_->append(entry());
}

Status DeltaBuild::take_content(std::uint64_t size, const Hash256& content) {
  const bool known = !entry().content.is_zero();
  if (known && (entry().size != size || entry().content != content)) {
    return fail(Code::corrupt, parts_.tree->shown(entry().path) +
                                   " does not have the content that it had in the base: the base was changed");
  }
  entry().size = size;
  entry().content = content;
  return append();
}

Status DeltaBuild::lose(std::uint64_t bytes_if_unknown) {
  const bool known = !entry().content.is_zero();
  ++missing_.files;
  missing_.bytes += known ? entry().size : bytes_if_unknown;
  lost_.push_back(path_key(entry().path));
  if (lost_.size() > limits::kDeltaDamagedMax)
    return fail(Code::corrupt, "too many files cannot be made from the base");
  INSTAR_CHECK(parts_.tree->remove(entry().path));
  if (known) return append();
  writer_.reset();
  return {};
}

bool DeltaBuild::is_lost(const std::string& path) const {
  return !lost_.empty() && std::ranges::find(lost_, path_key(path)) != lost_.end();
}

Status DeltaBuild::finish() {
  if (parts_.decoder) {
    INSTAR_TRY(const auto more, parts_.decoder->next_file());
    if (more) return fail(Code::malformed, "the pack rebuilds more files than its index wants");
  }
  if (!writer_) return {};
  INSTAR_TRY(id_, writer_->finish());
  return files::sync_fd(parts_.index.get(), parts_.index_path);
}

}  // namespace instar::device
