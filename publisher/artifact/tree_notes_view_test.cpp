#include "publisher/artifact/tree_notes_view.hpp"

#include <gmock/gmock.h>

namespace instar::publisher {
namespace {

using testing::HasSubstr;

TEST(TreeNotesView, HasNothingToSayOfATreeThatIsKeptAsItIs) {
  EXPECT_EQ(tree_notes_text({}), "");
}

TEST(TreeNotesView, NamesWhatIsNotKeptWithItsCountAndWhatToDo) {
  files::TreeNotes notes;
  notes.xattrs_not_kept["security.selinux"] = {3, ""};
  notes.xattrs_not_kept["user.overlay.opaque"] = {1, "etc"};
  notes.xattrs_not_kept["trusted.x"] = {2, "a"};
  notes.acls_not_kept = {1, "dev/x"};
  notes.stale_python = {2, "m/__pycache__/a.cpython-311.pyc"};
  const std::string text = tree_notes_text(notes);
  EXPECT_THAT(text, HasSubstr("security.selinux of the root folder and 2 more: labels are the device's own"));
  EXPECT_THAT(text, HasSubstr("user.overlay.opaque of etc: it would steer the overlay"));
  EXPECT_THAT(text, HasSubstr("trusted.x of a and 1 more: an artifact carries"));
  EXPECT_THAT(text, HasSubstr("ACL of dev/x: device nodes"));
  EXPECT_THAT(text, HasSubstr("a.cpython-311.pyc and 1 more name the time"));
  EXPECT_THAT(text, HasSubstr("--invalidation-mode unchecked-hash"));
  const Json json = tree_notes_json(notes);
  EXPECT_EQ(json["xattrs_not_kept"].size(), 3U);
  EXPECT_EQ(json["stale_python"]["count"], 2U);
}

}  // namespace
}  // namespace instar::publisher
