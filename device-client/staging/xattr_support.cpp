#include "device-client/staging/xattr_support.hpp"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/artifact/acl.hpp"
#include "files/files.hpp"
#include "files/posix.hpp"

namespace instar::device {

namespace {

// Kinds that file systems know or do not know as a whole.
std::string prefix_of(const std::string& name) {
  return name.starts_with("user.") ? "user." : name == artifact::kCapabilities ? name : "system.posix_acl_";
}

std::string words_for(const std::string& prefix) {
  if (prefix == "user.") return "xattrs user.*";
  return prefix == artifact::kCapabilities ? "file capabilities" : "POSIX ACLs";
}

}  // namespace

Status XattrSupport::check(const artifact::Entry& entry) {
  for (const artifact::Xattr& xattr : entry.xattrs) {
    INSTAR_TRY(const int error, error_of(xattr));
    if (error == 0) continue;
    return fail(Code::refused, "\"" + entry.path + "\" has " + words_for(prefix_of(xattr.name)) + ", which " + folder_ +
                                   " cannot keep (" + std::generic_category().message(error) +
                                   "): mount its file system with them, put state_dir on another one, or publish a "
                                   "tree without (setfacl -bn, setcap -r, setfattr -x)");
  }
  return {};
}

Result<int> XattrSupport::error_of(const artifact::Xattr& xattr) {
  const std::string prefix = prefix_of(xattr.name);
  const auto known = std::ranges::find(kinds_, prefix, &Kind::prefix);
  if (known != kinds_.end()) return known->error;
  INSTAR_TRY(const int error, try_one(xattr));
  kinds_.push_back({prefix, error});
  return error;
}

// A default ACL needs a folder, and an access ACL is good for one too.
Result<int> XattrSupport::try_one(const artifact::Xattr& xattr) const {
  const std::string path = folder_ + "/xattrs.try";
  INSTAR_CHECK(files::remove_tree(path));
  int error = 0;
  if (xattr.name == artifact::kAccessAcl || xattr.name == artifact::kDefaultAcl) {
    INSTAR_CHECK(files::make_folders(path, 0700));
    if (::setxattr(path.c_str(), xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0) error = errno;
  } else {
    INSTAR_TRY(const files::Fd file, files::open_file(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (::fsetxattr(file.get(), xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0) error = errno;
  }
  INSTAR_CHECK(files::remove_tree(path));
  return error;
}

}  // namespace instar::device
