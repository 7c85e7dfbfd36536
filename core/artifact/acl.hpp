// What Linux keeps in the xattrs of POSIX ACLs and file capabilities: which bytes are well-formed, and which mode
// grants no more than an ACL. docs/formats/index.md
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::artifact {

inline constexpr std::string_view kAccessAcl = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAcl = "system.posix_acl_default";
inline constexpr std::string_view kCapabilities = "security.capability";

// Checks the access ACL of a file or folder with `mode`: as a kernel gives it out, and with the rights that the mode
// shows. An ACL that says no more than a mode is malformed, because no file system keeps it. Errors: malformed.
[[nodiscard]] Status check_access_acl(ByteView acl, std::uint16_t mode);
// The same for the default ACL of a folder, which has nothing to do with its mode.
[[nodiscard]] Status check_default_acl(ByteView acl);
// Checks that a kernel takes these file capabilities. Errors: malformed.
[[nodiscard]] Status check_capabilities(ByteView value);

// The mode for a file that cannot keep its access ACL: it gives nobody a right that mode and ACL together did not give.
// The mode of a file with an ACL shows the mask where the group's rights should be. Of a malformed ACL only the owner's
// rights are left.
[[nodiscard]] std::uint16_t mode_without_acl(std::uint16_t mode, ByteView acl) noexcept;

}  // namespace instar::artifact
