// The user that an image's config names, looked up in the image's own /etc/passwd and /etc/group.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace instar::publisher {

struct ImageUser {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string home = "/";
  std::vector<std::string> more_groups;  // that /etc/group has it in, besides
};

// `text`: user, user:group, uid, uid:gid and what lies between; empty: root. `passwd`, `group`: the contents of the two
// files, empty if there are none. Errors: refused (a name that is not there), malformed.
[[nodiscard]] Result<ImageUser> find_image_user(std::string_view text, std::string_view passwd, std::string_view group);

}  // namespace instar::publisher
