// What a tree on disk has and its index has not, for the operator to know: read_tree() fills it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"

namespace instar::files {

struct TreeNotes {
  struct Entries {
    std::uint64_t count = 0;
    std::string first;  // its path
    void add(std::string_view path);
  };
  // Xattrs that a tree may not carry (is_tree_xattr()), by their names.
  std::map<std::string, Entries> xattrs_not_kept;
  // Device nodes and fifos whose ACL is not kept. Their mode was lowered: mode_without_acl().
  Entries acls_not_kept;
  // Compiled Python files that Python will not use, because they name the time of a source whose time is not kept.
  Entries stale_python;
};

// Whether this is the start of a compiled Python file (3.7 and later) that is good while its source has a certain time.
[[nodiscard]] bool names_a_time_of_python_source(ByteView start) noexcept;
// "a/__pycache__/m.cpython-311.opt-1.pyc" → "a/m.py". Empty if it is no such path.
[[nodiscard]] std::string python_source_of(std::string_view path);

}  // namespace instar::files
