// For tests: xattrs of POSIX ACLs and of file capabilities.
#pragma once

#include <vector>

#include "core/base/bytes.hpp"

namespace instar::artifact::fixture {

// Tags as in Linux's posix_acl.h: 1 owner, 2 a named user, 4 group, 8 a named group, 16 mask, 32 others.
struct AclEntry {
  std::uint16_t tag = 0;
  std::uint16_t rights = 0;
  std::uint32_t id = 0xffffffff;
};

inline Bytes acl(const std::vector<AclEntry>& entries) {
  Bytes bytes{2, 0, 0, 0};
  const auto append = [&](std::uint32_t number, int size) {
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
  };
  for (const AclEntry& entry : entries) {
    append(entry.tag, 2);
    append(entry.rights, 2);
    append(entry.id, 4);
  }
  return bytes;
}

// Owner rw-, user 1000 rwx, group r--, others nothing. The mode beside it is 0670.
inline Bytes usual_acl() {
  return acl({{1, 6}, {2, 7, 1000}, {4, 4}, {16, 7}, {32, 0}});
}

// cap_net_bind_service=ep
inline Bytes capabilities() {
  Bytes bytes(20);
  bytes[0] = 1;
  bytes[3] = 2;
  bytes[5] = 4;
  return bytes;
}

}  // namespace instar::artifact::fixture
