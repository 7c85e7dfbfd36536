// Owners, modes, xattrs and times of staged entries.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>

#include "core/artifact/acl.hpp"
#include "core/artifact/entry_time.hpp"
#include "files/staging_tree.hpp"
#include "files/tree.hpp"

namespace instar::files {
namespace {

using artifact::Entry;
using artifact::Xattr;

const Xattr* find_xattr(const Entry& entry, std::string_view name) {
  const auto found = std::ranges::find(entry.xattrs, name, &Xattr::name);
  return found == entry.xattrs.end() ? nullptr : &*found;
}

bool is_not_there(int error_number) noexcept {
  return error_number == ENODATA || error_number == ENOTSUP;
}

}  // namespace

std::array<timespec, 2> StagingTree::times_of(const Entry& entry) const noexcept {
  const std::int64_t kept = entry.time ? std::int64_t{*entry.time} : artifact::time_by_content(entry);
  const timespec time{time_ && !entry.time ? *time_ : kept, 0};
  return {time, time};
}

// What is made in a folder with a default ACL gets that ACL. The folder above the trees may have one.
Status StagingTree::take_no_default_acl(const std::string& folder) const {
  const auto opened = open_folder(folder);
  if (!opened) return {};  // nothing can be made in it either
  const std::string name(artifact::kDefaultAcl);
  if (::fremovexattr(opened->get(), name.c_str()) == 0 || is_not_there(errno)) return {};
  return os_error("taking the xattr " + name + " off", shown(folder), errno);
}

Status StagingTree::take_xattrs_off(int fd, const Entry& entry) const {
  INSTAR_TRY(const auto names, list_xattrs(fd, shown(entry.path)));
  for (const std::string& name : names) {
    // Access ACLs go even where another one comes: until then the mode alone counts.
    if (!artifact::is_tree_xattr(name) || (name != artifact::kAccessAcl && find_xattr(entry, name) != nullptr))
      continue;
    if (::fremovexattr(fd, name.c_str()) != 0 && !is_not_there(errno) && !may_leave_out(&LeftOut::xattrs)) {
      return os_error("taking the xattr " + name + " off", shown(entry.path), errno);
    }
  }
  return {};
}

Status StagingTree::set_xattr(int fd, const Entry& entry, const Xattr& xattr) const {
  if (::fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) == 0) return {};
  const int why = errno;
  if (may_leave_out(&LeftOut::xattrs)) return {};
  const bool unknown = why == ENOTSUP;
  return os_error("setting the xattr " + xattr.name + " of",
                  shown(entry.path) + (unknown ? ", whose file system has none" : ""), why);
}

// The owner comes first, because a change of owner clears setuid and capabilities. Capabilities come last.
Status StagingTree::set_metadata(int fd, const Entry& entry) const {
  constexpr mode_t kOwnersRights = S_ISUID | S_ISGID;
  mode_t mode = entry.mode;
  if (::fchown(fd, entry.uid, entry.gid) != 0) {
    if (!may_leave_out(&LeftOut::owners)) return os_error("setting the owner of", shown(entry.path), errno);
    if ((mode & kOwnersRights) != 0) ++left_out_->modes;
    mode &= ~kOwnersRights;
  }
  INSTAR_CHECK(take_xattrs_off(fd, entry));
  // With an ACL, the group's bits of the mode are the mask. Alone they would be rights that nobody gave.
  const Xattr* acl = find_xattr(entry, artifact::kAccessAcl);
  const mode_t alone = acl == nullptr ? mode : artifact::mode_without_acl(static_cast<std::uint16_t>(mode), acl->value);
  if (::fchmod(fd, alone) != 0) return os_error("setting the mode of", shown(entry.path), errno);
  if (acl != nullptr) {
    const std::uint64_t before = left_out_ == nullptr ? 0 : left_out_->xattrs;
    INSTAR_CHECK(set_xattr(fd, entry, *acl));
    const bool is_set = left_out_ == nullptr || left_out_->xattrs == before;
    if (is_set && ::fchmod(fd, mode) != 0) return os_error("setting the mode of", shown(entry.path), errno);
  }
  for (const Xattr& xattr : entry.xattrs) {
    if (&xattr == acl || xattr.name == artifact::kCapabilities) continue;
    INSTAR_CHECK(set_xattr(fd, entry, xattr));
  }
  const Xattr* capabilities = find_xattr(entry, artifact::kCapabilities);
  if (capabilities != nullptr) INSTAR_CHECK(set_xattr(fd, entry, *capabilities));
  if (::futimens(fd, times_of(entry).data()) != 0) return os_error("setting the time of", shown(entry.path), errno);
  return {};
}

Result<Entry> StagingTree::read_metadata(int fd, const std::string& shown) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return os_error("looking at", shown, errno);
  Entry entry;
  entry.mode = static_cast<std::uint16_t>(status.st_mode & 07777);
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.size = static_cast<std::uint64_t>(status.st_size);
  entry.time = static_cast<std::uint32_t>(std::clamp<std::int64_t>(status.st_mtim.tv_sec, 0, 0xffffffff));
  INSTAR_TRY(entry.xattrs, read_xattrs(fd, shown));
  return entry;
}

}  // namespace instar::files
