#include "publisher/artifact/tree_notes_view.hpp"

#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

std::string shown_entries(const files::TreeNotes::Entries& entries) {
  const std::string first = entries.first.empty() ? "the root folder" : entries.first;
  return entries.count == 1 ? first : first + " and " + std::to_string(entries.count - 1) + " more";
}

std::string reason_of(std::string_view xattr) {
  if (xattr == "security.selinux" || xattr == "security.apparmor" || xattr == "security.SMACK64")
    return "labels are the device's own; its policy gives files theirs";
  if (xattr.starts_with("trusted.overlay.") || xattr.starts_with("user.overlay."))
    return "it would steer the overlay that a device mounts; pack the merged tree instead";
  return "an artifact carries file capabilities, POSIX ACLs and user.* alone";
}

Json entries_json(const files::TreeNotes::Entries& entries) {
  return {{"count", entries.count}, {"first", entries.first}};
}

}  // namespace

std::string tree_notes_text(const files::TreeNotes& notes) {
  std::string text;
  for (const auto& [name, entries] : notes.xattrs_not_kept)
    text += "not kept: the xattr " + name + " of " + shown_entries(entries) + ": " + reason_of(name) + "\n";
  if (notes.acls_not_kept.count > 0) {
    text += "not kept: the ACL of " + shown_entries(notes.acls_not_kept) +
            ": device nodes and fifos carry none; their modes were lowered, so that nobody gets more rights\n";
  }
  if (notes.stale_python.count > 0) {
    text += "Python will compile again at each start: " + shown_entries(notes.stale_python) +
            " name the time of their source, which is another one on a device. Compile with: python3 -m compileall -f "
            "--invalidation-mode unchecked-hash DIR; or pack with --times keep\n";
  }
  return text;
}

Json tree_notes_json(const files::TreeNotes& notes) {
  Json xattrs = Json::array();
  for (const auto& [name, entries] : notes.xattrs_not_kept) {
    auto row = entries_json(entries);
    row["name"] = name;
    xattrs.push_back(std::move(row));
  }
  return {{"xattrs_not_kept", std::move(xattrs)},
          {"acls_not_kept", entries_json(notes.acls_not_kept)},
          {"stale_python", entries_json(notes.stale_python)}};
}

}  // namespace instar::publisher
