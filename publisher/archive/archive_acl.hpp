// The POSIX ACLs of an archive's entry, in the form that Linux keeps them in.
#pragma once

#include "core/base/result.hpp"
#include "publisher/archive/archive_reader.hpp"

struct archive_entry;

namespace instar::publisher {

// Adds them to the xattrs of `entry`, and gives it the mode that Linux shows with them. Errors: unsupported (somebody
// is named without a number, or the ACL is of another kind).
[[nodiscard]] Status take_acls(archive_entry* from, ArchiveEntry& entry);

}  // namespace instar::publisher
