#include "files/tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "core/artifact/acl.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "files/posix.hpp"

namespace instar::files {
namespace {

using artifact::Entry;
using artifact::EntryType;

constexpr std::size_t kReadBytes = 256 * 1024;

Result<std::vector<std::string>> sorted_names(int folder, const std::string& shown) {
  Fd copy(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy.is_open()) return os_error("opening", shown, errno);
  const OpenFolder dir(::fdopendir(copy.get()));
  if (dir == nullptr) return os_error("listing", shown, errno);
  static_cast<void>(copy.release());
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* item = ::readdir(dir.get());
    if (item == nullptr) {
      if (errno != 0) return os_error("listing", shown, errno);
      break;
    }
    const std::string_view name = item->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    if (names.size() > limits::kEntriesMax) return fail(Code::too_large, shown + " holds too many entries");
  }
  std::sort(names.begin(), names.end(),
            [](const std::string& a, const std::string& b) { return artifact::path_before(a, b); });
  return names;
}

Result<Bytes> read_xattr(int fd, const std::string& name, const std::string& shown) {
  Bytes value(64 * 1024);  // XATTR_SIZE_MAX of Linux
  const ssize_t bytes = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
  if (bytes < 0) return os_error("reading the xattr " + name + " of", shown, errno);
  value.resize(static_cast<std::size_t>(bytes));
  return value;
}

class Walker {
 public:
  Walker(std::string root, const TreeOptions& options)
      : root_(std::move(root)), options_(options), checker_(options.rules) {}

  Result<std::vector<Entry>> read() {
    INSTAR_TRY(Fd folder, open_file(root_, O_RDONLY | O_DIRECTORY));
    struct stat status {};
    if (::fstat(folder.get(), &status) != 0) return os_error("looking at", root_, errno);
    device_ = status.st_dev;
    Entry entry;
    INSTAR_CHECK(take_folder(folder.get(), status, std::move(entry)));
    INSTAR_CHECK(hash_files(folder.get()));
    note_stale_python();
    for (const Entry& checked : entries_) {
      auto verdict = checker_.check(checked);
      if (!verdict) return fail(with_context(verdict.error(), root_));
    }
    return std::move(entries_);
  }

 private:
  [[nodiscard]] std::string shown(const std::string& path) const { return path.empty() ? root_ : root_ + "/" + path; }

  Status take_folder(int folder, const struct stat& status, Entry entry) {
    entry.type = EntryType::directory;
    set_owner(entry, status);
    INSTAR_CHECK(keep_time(entry, status));
    INSTAR_TRY(entry.xattrs, read_xattrs(folder, shown(entry.path), options_.notes, entry.path));
    const std::string prefix = entry.path.empty() ? "" : entry.path + "/";
    INSTAR_TRY(const std::vector<std::string> names, sorted_names(folder, shown(entry.path)));
    entries_.push_back(std::move(entry));
    for (const std::string& name : names) INSTAR_CHECK(take(folder, name, prefix + name));
    return {};
  }

  Status take(int folder, const std::string& name, std::string path) {
    if (entries_.size() >= limits::kEntriesMax) {
      return fail(Code::too_large, root_ + " holds more than " + std::to_string(limits::kEntriesMax) + " entries");
    }
    if (path.size() > limits::kPathBytesMax) return fail(Code::too_large, shown(path) + " is too long a path");
    struct stat status {};
    if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return os_error("looking at", shown(path), errno);
    INSTAR_TRY(const bool mounted, is_mounted(folder, name, path));
    if (mounted)
      return fail(Code::refused,
                  "another file system is mounted at " + shown(path) + ": unmount it, or copy the tree first");
    Entry entry;
    entry.path = std::move(path);
    if (S_ISDIR(status.st_mode)) {
      INSTAR_TRY(const Fd child, open_child(folder, name, entry.path, O_DIRECTORY));
      return take_folder(child.get(), status, std::move(entry));
    }
    if (is_further_link(entry, status)) return {};
    if (S_ISREG(status.st_mode)) {
      entry.type = EntryType::file;
      entry.size = static_cast<std::uint64_t>(status.st_size);
      bytes_ += entry.size;
      INSTAR_TRY(const Fd child, open_child(folder, name, entry.path, 0));
      INSTAR_TRY(entry.xattrs, read_xattrs(child.get(), shown(entry.path), options_.notes, entry.path));
      INSTAR_CHECK(keep_time(entry, status));
    } else if (S_ISLNK(status.st_mode)) {
      entry.type = EntryType::symlink;
      INSTAR_TRY(entry.target, read_target(folder, name, entry.path));
    } else {
      INSTAR_CHECK(take_special(status, entry));
    }
    set_owner(entry, status);
    const bool is_special = entry.type != EntryType::file && entry.type != EntryType::symlink;
    if (is_special) lower_mode(folder, name, entry);
    entries_.push_back(std::move(entry));
    return {};
  }

  Status keep_time(Entry& entry, const struct stat& status) const {
    if (!options_.keep_times) return {};
    constexpr std::int64_t kLastTime = 0xffffffff;
    const std::int64_t seconds = status.st_mtim.tv_sec;
    if (seconds < 0 || seconds > kLastTime) {
      return fail(Code::refused,
                  shown(entry.path) + " has a time before 1970 or after 2106: give it another with touch");
    }
    entry.time = static_cast<std::uint32_t>(seconds);
    return {};
  }

  // A device node or fifo cannot carry an ACL. It is not opened, because that may do something.
  void lower_mode(int folder, const std::string& name, Entry& entry) const {
    const Fd place(::openat(folder, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!place.is_open()) return;
    const std::string link = "/proc/self/fd/" + std::to_string(place.get());
    Bytes acl(64 * 1024);
    const ssize_t bytes = ::getxattr(link.c_str(), std::string(artifact::kAccessAcl).c_str(), acl.data(), acl.size());
    if (bytes < 0) return;
    entry.mode = artifact::mode_without_acl(entry.mode, ByteView(acl).first(static_cast<std::size_t>(bytes)));
    if (options_.notes != nullptr) options_.notes->acls_not_kept.add(entry.path);
  }

  void note_stale_python() const {
    if (options_.notes == nullptr) return;
    for (const std::string& path : timed_python_) {
      const std::string source = python_source_of(path);
      const auto found = std::ranges::lower_bound(entries_, source, artifact::path_before, &Entry::path);
      if (found != entries_.end() && found->path == source) options_.notes->stale_python.add(path);
    }
  }

  // A file or folder that something else is mounted on. Devices do not say it: those of an overlay's files differ from
  // their folder's, as those of btrfs' subvolumes do. Before Linux 5.8 nothing else says it.
  Result<bool> is_mounted(int folder, const std::string& name, const std::string& path) const {
    struct statx extended {};
    if (::statx(folder, name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &extended) != 0)
      return os_error("looking at", shown(path), errno);
    if ((extended.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
      return (extended.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    return S_ISDIR(extended.stx_mode) && makedev(extended.stx_dev_major, extended.stx_dev_minor) != device_;
  }

  // Returns true when another name of the same file came before, and the entry is a hard link then.
  bool is_further_link(Entry& entry, const struct stat& status) {
    if (!S_ISREG(status.st_mode) || status.st_nlink < 2) return false;
    const auto [first, is_new] = linked_.try_emplace({status.st_dev, status.st_ino}, entry.path);
    if (is_new) return false;
    entry.type = EntryType::hardlink;
    entry.target = first->second;
    entries_.push_back(std::move(entry));
    return true;
  }

  Status take_special(const struct stat& status, Entry& entry) const {
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
      entry.type = S_ISCHR(status.st_mode) ? EntryType::char_device : EntryType::block_device;
      entry.device_major = major(status.st_rdev);
      entry.device_minor = minor(status.st_rdev);
    } else if (S_ISFIFO(status.st_mode)) {
      entry.type = EntryType::fifo;
    } else {
      return fail(Code::refused, shown(entry.path) + " is a socket, which a tree cannot carry: remove it");
    }
    if (!options_.rules.devices_allowed) {
      return fail(Code::refused,
                  shown(entry.path) +
                      " is a device node or fifo: remove it (LXC makes the usual ones), or allow devices explicitly");
    }
    return {};
  }

  Result<Fd> open_child(int folder, const std::string& name, const std::string& path, int flags) const {
    Fd child(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags));
    if (!child.is_open()) return os_error("opening", shown(path), errno);
    return child;
  }

  Result<std::string> read_target(int folder, const std::string& name, const std::string& path) const {
    std::string target(limits::kPathBytesMax + 1, '\0');
    const ssize_t size = ::readlinkat(folder, name.c_str(), target.data(), target.size());
    if (size < 0) return os_error("reading the link", shown(path), errno);
    if (static_cast<std::size_t>(size) == target.size())
      return fail(Code::too_large, shown(path) + " has too long a target");
    target.resize(static_cast<std::size_t>(size));
    return target;
  }

  static void set_owner(Entry& entry, const struct stat& status) {
    entry.uid = status.st_uid;
    entry.gid = status.st_gid;
    if (entry.type != EntryType::symlink) entry.mode = static_cast<std::uint16_t>(status.st_mode & 07777);
  }

  Status hash_files(int root) {
    Bytes buffer(kReadBytes);
    std::uint64_t done = 0;
    for (Entry& entry : entries_) {
      if (entry.type != EntryType::file) continue;
      INSTAR_TRY(const Fd file, open_below(root, entry.path, O_RDONLY | O_NONBLOCK, root_));
      trust::Hasher hasher;
      std::uint64_t offset = 0;
      while (true) {
        INSTAR_TRY(const std::size_t got, read_at(file.get(), buffer, offset, shown(entry.path)));
        hasher.update(ByteView(buffer).first(got));
        const bool is_start = offset == 0 && !options_.keep_times && !python_source_of(entry.path).empty();
        if (is_start && names_a_time_of_python_source(ByteView(buffer).first(got))) timed_python_.push_back(entry.path);
        offset += got;
        done += got;
        if (options_.progress && got > 0) options_.progress(done, std::max(done, bytes_));
        if (got < buffer.size()) break;
      }
      if (offset != entry.size)
        return fail(Code::corrupt, shown(entry.path) + " changed while it was being read: try again");
      entry.content = hasher.finish();
    }
    return {};
  }

  std::string root_;
  const TreeOptions& options_;
  artifact::IndexChecker checker_;
  dev_t device_ = 0;
  std::uint64_t bytes_ = 0;
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;  // files with several names: the first of them
  std::vector<std::string> timed_python_;                  // compiled files that name a time
  std::vector<Entry> entries_;
};

class TreeSource : public artifact::ContentSource {
 public:
  explicit TreeSource(std::string root) : root_(std::move(root)) {}

  Result<std::size_t> read(const Entry& entry, std::uint64_t offset, std::span<std::uint8_t> out) override {
    if (!file_.is_open() || path_ != entry.path) INSTAR_CHECK(open(entry));
    return read_at(file_.get(), out, offset, root_ + "/" + path_);
  }

 private:
  Status open(const Entry& entry) {
    if (!folder_.is_open()) {
      INSTAR_TRY(folder_, open_file(root_, O_PATH | O_DIRECTORY));
    }
    INSTAR_TRY(file_, open_below(folder_.get(), entry.path, O_RDONLY | O_NONBLOCK, root_));
    path_ = entry.path;
    struct stat status {};
    if (::fstat(file_.get(), &status) != 0) return os_error("looking at", root_ + "/" + path_, errno);
    if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) != entry.size) {
      return fail(Code::corrupt, root_ + "/" + path_ + " changed while it was being packed: pack again");
    }
    return {};
  }

  std::string root_;
  Fd folder_;
  Fd file_;
  std::string path_;
};

}  // namespace

Result<std::vector<std::string>> list_xattrs(int fd, const std::string& shown) {
  std::vector<std::string> list;
  const ssize_t size = ::flistxattr(fd, nullptr, 0);
  if (size == 0 || (size < 0 && errno == ENOTSUP)) return list;
  if (size < 0) return os_error("listing the xattrs of", shown, errno);
  std::string names(static_cast<std::size_t>(size), '\0');
  const ssize_t got = ::flistxattr(fd, names.data(), names.size());
  if (got < 0) return os_error("listing the xattrs of", shown, errno);
  names.resize(static_cast<std::size_t>(got));
  for (std::size_t at = 0; at < names.size(); at += list.back().size() + 1) list.emplace_back(names.c_str() + at);
  return list;
}

Result<std::vector<artifact::Xattr>> read_xattrs(int fd, const std::string& shown, TreeNotes* notes,
                                                 std::string_view path) {
  std::vector<artifact::Xattr> xattrs;
  INSTAR_TRY(const auto names, list_xattrs(fd, shown));
  for (const std::string& name : names) {
    if (artifact::is_tree_xattr(name)) {
      INSTAR_TRY(Bytes value, read_xattr(fd, name, shown));
      xattrs.push_back({name, std::move(value)});
    } else if (notes != nullptr) {
      notes->xattrs_not_kept[name].add(path);
    }
  }
  std::sort(xattrs.begin(), xattrs.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return xattrs;
}

Result<std::vector<artifact::Xattr>> read_xattrs(int fd, const std::string& shown) {
  return read_xattrs(fd, shown, nullptr, {});
}

Result<std::vector<Entry>> read_tree(const std::string& root, const TreeOptions& options) {
  return Walker(root, options).read();
}

std::unique_ptr<artifact::ContentSource> tree_source(const std::string& root) {
  return std::make_unique<TreeSource>(root);
}

}  // namespace instar::files
