#include "core/artifact/acl.hpp"

#include <optional>

namespace instar::artifact {
namespace {

// Linux's include/uapi/linux/posix_acl.h and posix_acl_xattr.h: a version of 4 bytes, then 8 bytes for each entry, all
// little-endian.
constexpr std::uint32_t kAclVersion = 2;
constexpr std::size_t kAclHeadBytes = 4;
constexpr std::size_t kAclEntryBytes = 8;
enum AclTag : std::uint32_t { kOwner = 1, kNamedUser = 2, kGroup = 4, kNamedGroup = 8, kMask = 16, kOthers = 32 };
constexpr std::uint32_t kNoId = 0xffffffff;
constexpr std::uint32_t kAllRights = 7;

std::uint32_t number_at(ByteView bytes, std::size_t at, std::size_t size) noexcept {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < size; ++i) number |= std::uint32_t{bytes[at + i]} << (8 * i);
  return number;
}

struct AclRights {
  std::uint32_t owner = 0;
  std::uint32_t group = 0;
  std::uint32_t others = 0;
  std::optional<std::uint32_t> mask;
  bool names_any = false;
  std::uint32_t every_user = kAllRights;  // what all named users have
  std::uint32_t every_name = kAllRights;  // what all named users and groups have
};

// The place of a tag in the order that the kernel demands. 0: an unknown tag.
int rank_of(std::uint32_t tag) noexcept {
  switch (tag) {
    case kOwner: return 1;
    case kNamedUser: return 2;
    case kGroup: return 3;
    case kNamedGroup: return 4;
    case kMask: return 5;
    case kOthers: return 6;
    default: return 0;
  }
}

void note_rights(AclRights& rights, std::uint32_t tag, std::uint32_t given) noexcept {
  switch (tag) {
    case kOwner: rights.owner = given; return;
    case kGroup: rights.group = given; return;
    case kMask: rights.mask = given; return;
    case kOthers: rights.others = given; return;
    default: break;
  }
  rights.names_any = true;
  rights.every_name &= given;
  if (tag == kNamedUser) rights.every_user &= given;
}

// nullopt: not an ACL that a kernel would take.
std::optional<AclRights> read_acl(ByteView acl) noexcept {
  if (acl.size() <= kAclHeadBytes || (acl.size() - kAclHeadBytes) % kAclEntryBytes != 0) return std::nullopt;
  if (number_at(acl, 0, 4) != kAclVersion) return std::nullopt;
  AclRights rights;
  unsigned seen = 0;  // tags
  int rank = 0;
  for (std::size_t at = kAclHeadBytes; at < acl.size(); at += kAclEntryBytes) {
    const std::uint32_t tag = number_at(acl, at, 2);
    const std::uint32_t given = number_at(acl, at + 2, 2);
    const bool is_named = tag == kNamedUser || tag == kNamedGroup;
    if (rank_of(tag) == 0 || given > kAllRights || is_named == (number_at(acl, at + 4, 4) == kNoId))
      return std::nullopt;
    if (rank_of(tag) < rank || (rank_of(tag) == rank && !is_named)) return std::nullopt;
    rank = rank_of(tag);
    seen |= tag;
    note_rights(rights, tag, given);
  }
  constexpr unsigned kNeeded = kOwner | kGroup | kOthers;
  if ((seen & kNeeded) != kNeeded || (rights.names_any && !rights.mask)) return std::nullopt;
  return rights;
}

constexpr std::uint16_t with_rights(std::uint16_t mode, std::uint32_t owner, std::uint32_t group,
                                    std::uint32_t others) noexcept {
  return static_cast<std::uint16_t>((mode & ~0777U) | owner << 6 | group << 3 | others);
}

}  // namespace

Status check_access_acl(ByteView acl, std::uint16_t mode) {
  const auto rights = read_acl(acl);
  if (!rights) return fail(Code::malformed, "an access ACL that is none");
  if (!rights->mask) return fail(Code::malformed, "an access ACL that says no more than the mode");
  if (with_rights(mode, rights->owner, *rights->mask, rights->others) != mode) {
    return fail(Code::malformed, "an access ACL that contradicts the mode");
  }
  return {};
}

Status check_default_acl(ByteView acl) {
  if (read_acl(acl)) return {};
  return fail(Code::malformed, "a default ACL that is none");
}

Status check_capabilities(ByteView value) {
  // linux/capability.h: VFS_CAP_REVISION_2 has two sets of 64 bits, VFS_CAP_REVISION_3 a user id after them.
  constexpr std::uint32_t kEffective = 1;
  constexpr std::uint32_t kRevision2 = 0x02000000;
  constexpr std::uint32_t kRevision3 = 0x03000000;
  constexpr std::size_t kBytes2 = 20;
  constexpr std::size_t kBytes3 = 24;
  const std::uint32_t magic = value.size() < 4 ? 0 : number_at(value, 0, 4) & ~kEffective;
  if ((magic == kRevision2 && value.size() == kBytes2) || (magic == kRevision3 && value.size() == kBytes3)) return {};
  return fail(Code::malformed, "file capabilities that are none");
}

std::uint16_t mode_without_acl(std::uint16_t mode, ByteView acl) noexcept {
  const auto rights = read_acl(acl);
  if (!rights) return with_rights(mode, mode >> 6 & kAllRights, 0, 0);
  const std::uint32_t mask = rights->mask.value_or(kAllRights);
  // A named user may be in the group, and everybody who was named falls under "others" now.
  const std::uint32_t group = rights->group & mask & rights->every_user;
  const std::uint32_t others = rights->names_any ? rights->others & mask & rights->every_name : rights->others;
  return with_rights(mode, mode >> 6 & kAllRights, group, others & (mode & kAllRights));
}

}  // namespace instar::artifact
