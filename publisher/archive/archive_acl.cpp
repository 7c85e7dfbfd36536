#include "publisher/archive/archive_acl.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <tuple>

#include "core/artifact/acl.hpp"

namespace instar::publisher {
namespace {

// One entry of an ACL as Linux keeps it (include/uapi/linux/posix_acl_xattr.h), little-endian.
struct AclEntry {
  std::uint16_t tag = 0;
  std::uint16_t rights = 0;
  std::uint32_t id = 0xffff'ffff;
};

constexpr std::uint16_t kUserObject = 1;
constexpr std::uint16_t kUser = 2;
constexpr std::uint16_t kGroupObject = 4;
constexpr std::uint16_t kGroup = 8;
constexpr std::uint16_t kMask = 16;
constexpr std::uint16_t kOther = 32;
constexpr std::uint8_t kAclVersion = 2;

void put(Bytes& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

// Who is named without a number. GNU tar writes names only, and whose they are nobody knows.
constexpr std::uint32_t kNobodyKnown = 0xffff'fffe;

Result<AclEntry> acl_entry(int rights, int tag, int id) {
  AclEntry entry;
  entry.rights = static_cast<std::uint16_t>(rights & 7);
  const bool is_named = tag == ARCHIVE_ENTRY_ACL_USER || tag == ARCHIVE_ENTRY_ACL_GROUP;
  if (is_named) entry.id = id < 0 ? kNobodyKnown : static_cast<std::uint32_t>(id);
  switch (tag) {
    case ARCHIVE_ENTRY_ACL_USER_OBJ: entry.tag = kUserObject; break;
    case ARCHIVE_ENTRY_ACL_USER: entry.tag = kUser; break;
    case ARCHIVE_ENTRY_ACL_GROUP_OBJ: entry.tag = kGroupObject; break;
    case ARCHIVE_ENTRY_ACL_GROUP: entry.tag = kGroup; break;
    case ARCHIVE_ENTRY_ACL_MASK: entry.tag = kMask; break;
    case ARCHIVE_ENTRY_ACL_OTHER: entry.tag = kOther; break;
    default: return fail(Code::unsupported, "its ACL is none of POSIX");
  }
  return entry;
}

Result<std::vector<AclEntry>> read_acl(archive_entry* from, int want) {
  std::vector<AclEntry> entries;
  archive_entry_acl_reset(from, want);
  int type = 0;
  int rights = 0;
  int tag = 0;
  int id = 0;
  const char* name = nullptr;
  while (archive_entry_acl_next(from, want, &type, &rights, &tag, &id, &name) == ARCHIVE_OK) {
    INSTAR_TRY(const auto entry, acl_entry(rights, tag, id));
    entries.push_back(entry);
  }
  std::ranges::sort(entries, {}, [](const AclEntry& each) { return std::pair(each.tag, each.id); });
  return entries;
}

Bytes acl_bytes(const std::vector<AclEntry>& entries) {
  Bytes value;
  put(value, kAclVersion, 4);
  for (const auto& each : entries) {
    put(value, each.tag, 2);
    put(value, each.rights, 2);
    put(value, each.id, 4);
  }
  return value;
}

// Keeps it as an xattr of `entry`. False: it cannot be kept.
bool keep_acl(std::string_view name, const std::vector<AclEntry>& entries, ArchiveEntry& entry) {
  std::erase_if(entry.xattrs, [&](const artifact::Xattr& xattr) { return xattr.name == name; });
  if (std::ranges::find(entries, kNobodyKnown, &AclEntry::id) != entries.end()) {
    entry.acl_is_by_name = true;
    return false;
  }
  entry.xattrs.push_back({std::string(name), acl_bytes(entries)});
  return true;
}

}  // namespace

Status take_acls(archive_entry* from, ArchiveEntry& entry) {
  const int types = archive_entry_acl_types(from);
  if ((types & ~(ARCHIVE_ENTRY_ACL_TYPE_ACCESS | ARCHIVE_ENTRY_ACL_TYPE_DEFAULT)) != 0)
    return fail(Code::unsupported, "its ACL is none of POSIX");
  if ((types & ARCHIVE_ENTRY_ACL_TYPE_ACCESS) != 0) {
    INSTAR_TRY(const auto entries, read_acl(from, ARCHIVE_ENTRY_ACL_TYPE_ACCESS));
    const auto mask = std::ranges::find(entries, kMask, &AclEntry::tag);
    if (mask != entries.end()) {
      entry.mode = static_cast<std::uint16_t>((entry.mode & ~070U) | static_cast<unsigned>(mask->rights) << 3U);
      if (!keep_acl(artifact::kAccessAcl, entries, entry))
        entry.mode = artifact::mode_without_acl(entry.mode, acl_bytes(entries));
    }
  }
  if ((types & ARCHIVE_ENTRY_ACL_TYPE_DEFAULT) != 0) {
    INSTAR_TRY(const auto entries, read_acl(from, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT));
    static_cast<void>(keep_acl(artifact::kDefaultAcl, entries, entry));
  }
  return {};
}

}  // namespace instar::publisher
