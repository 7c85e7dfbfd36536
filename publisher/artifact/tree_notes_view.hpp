// What `instar pack` says of a tree that an artifact does not carry, for people and as JSON.
#pragma once

#include <string>

#include "files/tree_notes.hpp"
#include "publisher/console/console.hpp"

namespace instar::publisher {

// A line for each thing, with what to do about it. Empty if there is nothing to say.
[[nodiscard]] std::string tree_notes_text(const files::TreeNotes& notes);
// {"xattrs_not_kept": [{"name", "count", "first"}], "acls_not_kept": {"count", "first"}, "stale_python": {…}}
[[nodiscard]] Json tree_notes_json(const files::TreeNotes& notes);

}  // namespace instar::publisher
