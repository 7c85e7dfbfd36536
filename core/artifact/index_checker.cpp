#include <algorithm>

#include "core/artifact/acl.hpp"
#include "core/artifact/index.hpp"
#include "core/base/limits.hpp"

namespace instar::artifact {
namespace {

std::string quoted(std::string_view path) {
  return path.empty() ? std::string("the root folder") : "\"" + std::string(path) + "\"";
}

// Calls `visit` with each '/'-separated part until it returns false.
template <typename Visit>
bool each_component(std::string_view path, Visit visit) {
  while (true) {
    const std::size_t slash = path.find('/');
    if (!visit(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

// A kernel takes the values as they are, and gives out the same ones.
Status check_xattr_value(const Entry& entry, const Xattr& xattr) {
  Status status;
  if (xattr.name == kCapabilities) status = check_capabilities(xattr.value);
  if (xattr.name == kAccessAcl) status = check_access_acl(xattr.value, entry.mode);
  if (xattr.name == kDefaultAcl) {
    status = entry.type == EntryType::directory ? check_default_acl(xattr.value)
                                                : fail(Code::malformed, "a default ACL without being a folder");
  }
  if (status) return {};
  return fail(Code::malformed, quoted(entry.path) + " has " + status.error().message);
}

Status check_xattrs(const Entry& entry) {
  if (entry.xattrs.size() > limits::kXattrsMax)
    return fail(Code::too_large, quoted(entry.path) + " has too many xattrs");
  std::size_t bytes = 0;
  const Xattr* previous = nullptr;
  for (const Xattr& xattr : entry.xattrs) {
    const std::string& name = xattr.name;
    if (name.size() > limits::kXattrNameBytesMax || name.find('\0') != std::string::npos) {
      return fail(Code::malformed, quoted(entry.path) + " has an xattr with a bad name");
    }
    if (!is_tree_xattr(name)) {
      return fail(Code::refused, quoted(entry.path) + " has the xattr \"" + name + "\", which trees may not carry");
    }
    if (previous != nullptr && previous->name >= name) {
      return fail(Code::malformed, quoted(entry.path) + " has xattrs out of order");
    }
    INSTAR_CHECK(check_xattr_value(entry, xattr));
    previous = &xattr;
    bytes += name.size() + xattr.value.size();
  }
  if (bytes > limits::kXattrBytesMax) {
    return fail(Code::too_large,
                quoted(entry.path) + " has more than " + std::to_string(limits::kXattrBytesMax) + " bytes of xattrs");
  }
  return {};
}

// Decides by the text of the target alone, starting from the folder that holds the link.
bool climbs_out(std::string_view path, std::string_view target) {
  if (target.front() == '/') return false;
  auto depth = std::count(path.begin(), path.end(), '/');
  return !each_component(target, [&](std::string_view part) {
    if (part == "..") return --depth >= 0;
    if (!part.empty() && part != ".") ++depth;
    return true;
  });
}

Status check_symlink(const Entry& entry) {
  if (entry.target.empty() || entry.target.find('\0') != std::string::npos) {
    return fail(Code::malformed, "the symlink " + quoted(entry.path) + " has an empty target or a NUL byte in it");
  }
  if (climbs_out(entry.path, entry.target)) {
    return fail(Code::refused,
                "the symlink " + quoted(entry.path) + " leads out of the tree, to \"" + entry.target + "\"");
  }
  return {};
}

// Fields that the type does not have are zero, so that equal trees have equal entries.
bool has_foreign_fields(const Entry& entry) {
  const EntryType type = entry.type;
  const bool is_file = type == EntryType::file;
  const bool is_link = type == EntryType::symlink || type == EntryType::hardlink;
  const bool is_device = type == EntryType::char_device || type == EntryType::block_device;
  if (!is_file && (entry.size != 0 || !entry.content.is_zero())) return true;
  if (!is_link && !entry.target.empty()) return true;
  if (!is_device && (entry.device_major != 0 || entry.device_minor != 0)) return true;
  if (is_link && entry.mode != 0) return true;
  if (type == EntryType::hardlink && (entry.uid != 0 || entry.gid != 0)) return true;
  return !is_file && type != EntryType::directory && (!entry.xattrs.empty() || entry.time);
}

}  // namespace

bool is_tree_xattr(std::string_view name) noexcept {
  if (name == kCapabilities || name == kAccessAcl || name == kDefaultAcl) return true;
  return name.starts_with("user.") && name.size() > 5 && !name.starts_with("user.overlay.");
}

bool path_before(std::string_view left, std::string_view right) noexcept {
  const auto rank = [](char c) { return c == '/' ? 0 : static_cast<int>(static_cast<unsigned char>(c)); };
  return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end(),
                                      [&](char a, char b) { return rank(a) < rank(b); });
}

Status check_path(std::string_view path) {
  if (path.size() > limits::kPathBytesMax) {
    return fail(Code::too_large, "a path of " + std::to_string(path.size()) + " bytes; at most " +
                                     std::to_string(limits::kPathBytesMax) + " are allowed");
  }
  if (path.empty()) return {};
  if (path.find('\0') != std::string_view::npos) return fail(Code::malformed, "a path has a NUL byte in it");
  if (path.front() == '/') return fail(Code::malformed, quoted(path) + " is an absolute path");
  Status status;
  each_component(path, [&](std::string_view part) {
    if (part.empty()) {
      status = fail(Code::malformed, quoted(path) + " has an empty component");
    } else if (part == "." || part == "..") {
      status = fail(Code::malformed, quoted(path) + " has the component \"" + std::string(part) + "\"");
    } else if (part.size() > limits::kPathComponentBytesMax) {
      status = fail(Code::too_large, quoted(path) + " has a component of more than " +
                                         std::to_string(limits::kPathComponentBytesMax) + " bytes");
    }
    return status.has_value();
  });
  return status;
}

void IndexChecker::PathSet::add(std::string_view path) {
  if ((count_ + 1) * 2 > slots_.size()) {
    std::vector<std::uint64_t> old(std::max<std::size_t>(64, slots_.size() * 2));
    old.swap(slots_);
    for (const std::uint64_t key : old) {
      if (key == 0) continue;
      std::size_t slot = key & (slots_.size() - 1);
      while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
      slots_[slot] = key;
    }
  }
  const std::uint64_t key = trust::digest(as_bytes(path)).prefix64() | 1;
  std::size_t slot = key & (slots_.size() - 1);
  while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
  slots_[slot] = key;
  ++count_;
}

bool IndexChecker::PathSet::holds(std::string_view path) const noexcept {
  if (slots_.empty()) return false;
  const std::uint64_t key = trust::digest(as_bytes(path)).prefix64() | 1;
  std::size_t slot = key & (slots_.size() - 1);
  while (slots_[slot] != 0) {
    if (slots_[slot] == key) return true;
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return false;
}

Status IndexChecker::check(const Entry& entry) {
  if (entry_count_ == limits::kEntriesMax) {
    return fail(Code::too_large, "the tree has more than " + std::to_string(limits::kEntriesMax) + " entries");
  }
  INSTAR_CHECK(check_path(entry.path));
  INSTAR_CHECK(check_kind(entry));
  INSTAR_CHECK(check_place(entry));
  if (entry.type == EntryType::directory) open_folders_.push_back(entry.path.size());
  if (entry.type == EntryType::file && rules_.hardlinks_looked_up) files_.add(entry.path);
  previous_path_ = entry.path;
  ++entry_count_;
  return {};
}

Status IndexChecker::check_kind(const Entry& entry) const {
  if (entry.type > EntryType::fifo) return fail(Code::malformed, quoted(entry.path) + " is of an unknown type");
  if (entry.mode > 07777) return fail(Code::malformed, quoted(entry.path) + " has unknown mode bits");
  if (has_foreign_fields(entry)) return fail(Code::malformed, quoted(entry.path) + " has fields that its type has not");
  if (entry.target.size() > limits::kPathBytesMax) {
    return fail(Code::too_large, quoted(entry.path) + " has a link target of more than " +
                                     std::to_string(limits::kPathBytesMax) + " bytes");
  }
  INSTAR_CHECK(check_xattrs(entry));
  switch (entry.type) {
    case EntryType::directory: return {};
    case EntryType::file: {
      static const Hash256 kEmpty = trust::digest({});
      if (entry.size > limits::kContentBytesMax)
        return fail(Code::too_large, quoted(entry.path) + " is too large a file");
      if (rules_.contents_known && (entry.size == 0) != (entry.content == kEmpty)) {
        return fail(Code::malformed, quoted(entry.path) + " has a size that its content hash contradicts");
      }
      return {};
    }
    case EntryType::symlink: return check_symlink(entry);
    case EntryType::hardlink: return check_hardlink(entry);
    case EntryType::char_device:
    case EntryType::block_device:
    case EntryType::fifo: break;
  }
  if (entry.device_major > limits::kDeviceMajorMax || entry.device_minor > limits::kDeviceMinorMax) {
    return fail(Code::malformed, quoted(entry.path) + " has a device number out of range");
  }
  if (!rules_.devices_allowed) {
    return fail(Code::refused, quoted(entry.path) +
                                   " is a device node or fifo, which is not allowed here; leave it out of "
                                   "the tree or allow devices explicitly");
  }
  return {};
}

Status IndexChecker::check_hardlink(const Entry& entry) const {
  bool good = false;
  if (rules_.hardlinks_looked_up) {
    good = files_.holds(entry.target);
  } else {
    INSTAR_CHECK(check_path(entry.target));
    good = !entry.target.empty() && path_before(entry.target, entry.path);
  }
  if (good) return {};
  return fail(Code::malformed, "the hard link " + quoted(entry.path) + " is to " + quoted(entry.target) +
                                   ", which is not an earlier file");
}

Status IndexChecker::check_place(const Entry& entry) {
  if (entry_count_ == 0) {
    if (entry.path.empty() && entry.type == EntryType::directory) return {};
    return fail(Code::malformed, "the first entry is not the root folder");
  }
  if (entry.path == previous_path_) return fail(Code::malformed, quoted(entry.path) + " appears twice");
  if (!path_before(previous_path_, entry.path)) {
    return fail(Code::malformed, quoted(entry.path) + " comes after " + quoted(previous_path_) + ": out of order");
  }
  const std::size_t slash = entry.path.rfind('/');
  const std::string_view parent =
      slash == std::string::npos ? std::string_view{} : std::string_view(entry.path).substr(0, slash);
  while (!open_folders_.empty()) {
    const std::string_view folder = std::string_view(previous_path_).substr(0, open_folders_.back());
    if (folder == parent) return {};
    open_folders_.pop_back();
  }
  return fail(Code::malformed, "the parent of " + quoted(entry.path) + " is missing or is not a folder");
}

}  // namespace instar::artifact
