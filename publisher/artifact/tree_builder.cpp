#include "publisher/artifact/tree_builder.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/assert.hpp"
#include "files/sparse.hpp"

namespace instar::publisher {
namespace {

using artifact::Entry;
using artifact::EntryType;
using files::StagingTree;

constexpr std::size_t kTreeCopyBytes = 256 * 1024;

}  // namespace

Result<std::unique_ptr<TreeBuilder>> TreeBuilder::create(const std::string& path, TreeUse use) {
  INSTAR_TRY(auto folder, NewFolder::make(path));
  std::unique_ptr<TreeBuilder> builder(new TreeBuilder(std::move(folder), use));
  INSTAR_TRY(builder->tree_, StagingTree::open(path));
  builder->tree_.leave_out(builder->left_out_);
  return builder;
}

Status TreeBuilder::add(const Entry& entry) {
  switch (entry.type) {
    case EntryType::directory: return tree_.make_folder(entry.path);
    case EntryType::file: return tree_.make_file(entry.path, 0);
    case EntryType::symlink: return use_ == TreeUse::whole ? tree_.make_symlink(entry) : Status{};
    case EntryType::hardlink: return {};
    case EntryType::char_device:
    case EntryType::block_device:
    case EntryType::fifo: return use_ == TreeUse::whole ? tree_.make_special(entry) : Status{};
  }
  return {};
}

Status TreeBuilder::begin_file(const std::string& path) {
  INSTAR_ASSERT(!file_.is_open());
  INSTAR_TRY(file_, tree_.open_file(path, true));
  shown_ = tree_.shown(path);
  hasher_ = trust::Hasher();
  size_ = 0;
  return {};
}

Status TreeBuilder::write(ByteView bytes) {
  INSTAR_ASSERT(file_.is_open());
  hasher_.update(bytes);
  // Its end is set in the end, so zeros that fill no whole block here need not be written either.
  const bool zeros = std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
  if (!zeros) INSTAR_CHECK(files::write_with_holes(file_.get(), bytes, size_, shown_));
  size_ += bytes.size();
  return {};
}

Result<TreeBuilder::Content> TreeBuilder::end_file() {
  INSTAR_ASSERT(file_.is_open());
  // It may end in a hole.
  if (::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) return files::os_error("sizing", shown_, errno);
  file_.close();
  return Content{size_, hasher_.finish()};
}

Result<TreeBuilder::Content> TreeBuilder::copy_file(const std::string& path, const StagingTree& from,
                                                    const std::string& from_path) {
  INSTAR_TRY(const files::Fd source, from.open_file(from_path, false));
  INSTAR_CHECK(begin_file(path));
  Bytes buffer(kTreeCopyBytes);
  while (true) {
    INSTAR_TRY(const std::size_t got, files::read_at(source.get(), buffer, size_, from.shown(from_path)));
    INSTAR_CHECK(write(ByteView(buffer).first(got)));
    if (got < buffer.size()) return end_file();
  }
}

Status TreeBuilder::set_metadata_of(const Entry& entry) {
  INSTAR_TRY(const files::Fd fd,
             entry.type == EntryType::file ? tree_.open_file(entry.path, false) : tree_.open_folder(entry.path));
  return tree_.set_metadata(fd.get(), entry);
}

Status TreeBuilder::set_metadata(const std::vector<Entry>& entries) {
  INSTAR_ASSERT(use_ == TreeUse::whole);
  for (const Entry& entry : entries) {
    if (entry.type == EntryType::file) INSTAR_CHECK(set_metadata_of(entry));
    if (entry.type != EntryType::hardlink) continue;
    INSTAR_TRY(const auto linked, tree_.link(entry.path, tree_, entry.target));
    if (linked != StagingTree::Linked::yes) {
      return fail(Code::io, tree_.shown(entry.path) + " cannot be made a hard link to " + entry.target +
                                (linked == StagingTree::Linked::too_many
                                     ? ": this file system allows no more names for one file; use another, such as xfs"
                                     : ": this file system has none"));
    }
  }
  // Folders come last, and inner ones first, because a folder may become read-only only when all is in it.
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (entry->type == EntryType::directory) INSTAR_CHECK(set_metadata_of(*entry));
  }
  return {};
}

}  // namespace instar::publisher
