#include "files/staging_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "files/files.hpp"

namespace instar::files {
namespace {

using artifact::Entry;
using artifact::EntryType;

mode_t special_type(EntryType type) {
  if (type == EntryType::char_device) return S_IFCHR;
  if (type == EntryType::block_device) return S_IFBLK;
  return S_IFIFO;
}

}  // namespace

Result<StagingTree> StagingTree::make(const std::string& path) {
  INSTAR_CHECK(make_folders(path, 0700));
  return open(path);
}

Result<StagingTree> StagingTree::open(const std::string& path) {
  StagingTree tree;
  tree.path_ = path;
  INSTAR_TRY(tree.root_, files::open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return tree;
}

std::string StagingTree::shown(std::string_view entry) const {
  return entry.empty() ? path_ : path_ + "/" + std::string(entry);
}

Result<int> StagingTree::parent(std::string_view entry) const {
  const std::size_t slash = entry.rfind('/');
  const std::string_view folder = slash == std::string_view::npos ? std::string_view{} : entry.substr(0, slash);
  if (!cached_.is_open() || cached_path_ != folder) {
    INSTAR_TRY(cached_, open_parent_below(root_.get(), entry, path_));
    cached_path_ = folder;
  }
  return cached_.get();
}

Status StagingTree::make_folder(const std::string& entry) {
  if (entry.empty()) return take_no_default_acl(entry);
  INSTAR_TRY(const int folder, parent(entry));
  const std::string name = last_component(entry);
  const auto make = [&] { return with_room(0, [&] { return ::mkdirat(folder, name.c_str(), 0700); }); };
  if (make() == 0) return take_no_default_acl(entry);
  if (errno != EEXIST) return os_error("making the folder", shown(entry), errno);
  struct stat status {};
  if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return os_error("looking at", shown(entry), errno);
  if (S_ISDIR(status.st_mode)) return take_no_default_acl(entry);
  INSTAR_CHECK(remove(entry));
  if (make() != 0) return os_error("making the folder", shown(entry), errno);
  return take_no_default_acl(entry);
}

Status StagingTree::make_symlink(const Entry& entry) {
  INSTAR_TRY(const int folder, parent(entry.path));
  const std::string name = last_component(entry.path);
  const auto make = [&] {
    return with_room(0, [&] { return ::symlinkat(entry.target.c_str(), folder, name.c_str()); });
  };
  if (make() != 0) {
    if (errno != EEXIST) return os_error("making the link", shown(entry.path), errno);
    const auto target = read_symlink(entry.path);
    if (!target || *target != entry.target) {
      INSTAR_CHECK(remove(entry.path));
      if (make() != 0) return os_error("making the link", shown(entry.path), errno);
    }
  }
  if (::fchownat(folder, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0 &&
      !may_leave_out(&LeftOut::owners)) {
    return os_error("setting the owner of", shown(entry.path), errno);
  }
  if (::utimensat(folder, name.c_str(), times_of(entry).data(), AT_SYMLINK_NOFOLLOW) != 0) {
    return os_error("setting the time of", shown(entry.path), errno);
  }
  return {};
}

Status StagingTree::make_special(const Entry& entry) {
  INSTAR_TRY(const int folder, parent(entry.path));
  const std::string name = last_component(entry.path);
  INSTAR_CHECK(remove(entry.path));
  if (::mknodat(folder, name.c_str(), special_type(entry.type) | 0600,
                makedev(entry.device_major, entry.device_minor)) != 0) {
    return os_error("making the device node", shown(entry.path), errno);
  }
  if (::fchownat(folder, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0 &&
      !may_leave_out(&LeftOut::owners)) {
    return os_error("setting the owner of", shown(entry.path), errno);
  }
  // The node was made just above, in a folder of ours, so there is no link to follow.
  if (::fchmodat(folder, name.c_str(), entry.mode, 0) != 0)
    return os_error("setting the mode of", shown(entry.path), errno);
  if (::utimensat(folder, name.c_str(), times_of(entry).data(), AT_SYMLINK_NOFOLLOW) != 0) {
    return os_error("setting the time of", shown(entry.path), errno);
  }
  return {};
}

bool StagingTree::is_own_file(const std::string& entry, std::uint64_t size) const {
  const auto folder = parent(entry);
  struct stat status {};
  return folder && ::fstatat(*folder, last_component(entry).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISREG(status.st_mode) && status.st_nlink == 1 && static_cast<std::uint64_t>(status.st_size) == size;
}

Status StagingTree::make_file(const std::string& entry, std::uint64_t size) {
  if (is_own_file(entry, size)) return {};
  INSTAR_TRY([[maybe_unused]] const Fd file, replace_file(entry, size));
  return {};
}

Result<Fd> StagingTree::replace_file(const std::string& entry, std::uint64_t size) {
  INSTAR_CHECK(remove(entry));
  INSTAR_TRY(const int folder, parent(entry));
  const std::string name = last_component(entry);
  Fd file(with_room(
      0, [&] { return ::openat(folder, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600); }));
  if (!file.is_open()) return os_error("making the file", shown(entry), errno);
  INSTAR_CHECK(take_room(file.get(), size, shown(entry)));
  return file;
}

Result<StagingTree::Linked> StagingTree::link(const std::string& entry, const StagingTree& source,
                                              const std::string& source_entry) {
  INSTAR_ASSERT(!entry.empty() && !source_entry.empty());
  if (same_file(entry, source, source_entry)) return Linked::yes;
  INSTAR_CHECK(remove(entry));
  INSTAR_TRY(const Fd from, open_parent_below(source.fd(), source_entry, source.path()));
  INSTAR_TRY(const int to, parent(entry));
  const std::string name = last_component(entry);
  const auto make = [&] { return ::linkat(from.get(), last_component(source_entry).c_str(), to, name.c_str(), 0); };
  if (with_room(0, make) == 0) return Linked::yes;
  if (errno == EMLINK) return Linked::too_many;
  if (errno == EXDEV || errno == EPERM || errno == EOPNOTSUPP) return Linked::impossible;
  return os_error("linking " + source.shown(source_entry) + " to", shown(entry), errno);
}

Status StagingTree::remove(const std::string& entry) {
  INSTAR_TRY(const int folder, parent(entry));
  const std::string name = last_component(entry);
  if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return os_error("removing", shown(entry), errno);
  cached_.close();
  return remove_tree(shown(entry));
}

Result<Fd> StagingTree::open_file(const std::string& entry, bool for_writing) const {
  INSTAR_TRY(const int folder, parent(entry));
  const std::string name = last_component(entry);
  Fd file(::openat(folder, name.c_str(), (for_writing ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.is_open()) return os_error("opening", shown(entry), errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return os_error("looking at", shown(entry), errno);
  if (!S_ISREG(status.st_mode)) return fail(Code::io, shown(entry) + " is not a file any more");
  return file;
}

Result<Fd> StagingTree::open_folder(const std::string& entry) const {
  return open_below(root_.get(), entry, O_RDONLY | O_DIRECTORY, path_);
}

Result<std::string> StagingTree::read_symlink(const std::string& entry) const {
  INSTAR_TRY(const int folder, parent(entry));
  std::string target(limits::kPathBytesMax + 1, '\0');
  const ssize_t size = ::readlinkat(folder, last_component(entry).c_str(), target.data(), target.size());
  if (size < 0) return os_error("reading the link", shown(entry), errno);
  target.resize(static_cast<std::size_t>(size));
  return target;
}

Result<bool> StagingTree::is_special(const Entry& entry) const {
  INSTAR_TRY(const int folder, parent(entry.path));
  struct stat status {};
  if (::fstatat(folder, last_component(entry.path).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return os_error("looking at", shown(entry.path), errno);
  }
  const bool same_device =
      entry.type == EntryType::fifo || status.st_rdev == makedev(entry.device_major, entry.device_minor);
  return (status.st_mode & S_IFMT) == special_type(entry.type) && same_device;
}

std::uint64_t StagingTree::allocated_bytes(const std::string& entry) const {
  const auto folder = parent(entry);
  struct stat status {};
  if (!folder || ::fstatat(*folder, last_component(entry).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return 0;
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

std::optional<std::uint64_t> StagingTree::own_bytes(const std::string& entry) const {
  const auto folder = parent(entry);
  struct stat status {};
  if (!folder || ::fstatat(*folder, last_component(entry).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return std::nullopt;
  if (S_ISREG(status.st_mode) && status.st_nlink > 1) return 0;
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

bool StagingTree::same_file(const std::string& entry, const StagingTree& other, const std::string& other_entry) const {
  const auto here = parent(entry);
  const auto there = open_parent_below(other.fd(), other_entry, other.path());
  struct stat one {};
  struct stat two {};
  return here && there && ::fstatat(*here, last_component(entry).c_str(), &one, AT_SYMLINK_NOFOLLOW) == 0 &&
         ::fstatat(there->get(), last_component(other_entry).c_str(), &two, AT_SYMLINK_NOFOLLOW) == 0 &&
         one.st_ino == two.st_ino && one.st_dev == two.st_dev;
}

bool StagingTree::may_leave_out(std::uint64_t LeftOut::*what) const noexcept {
  if (left_out_ == nullptr || (errno != EPERM && errno != EACCES && errno != ENOTSUP)) return false;
  ++(left_out_->*what);
  return true;
}

}  // namespace instar::files
