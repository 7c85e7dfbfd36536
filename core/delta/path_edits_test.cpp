#include "core/delta/path_edits.hpp"

#include <gtest/gtest.h>

namespace instar::delta {
namespace {

TEST(Edit, HasOnlyWhatDiffers) {
  const Edit edit = Edit::between("libfoo.so.1.2.3", "libfoo.so.1.3.3");
  EXPECT_EQ(edit.text, "3");
  EXPECT_EQ(edit.replaced, 1U);
  EXPECT_EQ(edit.kept_end, 2U);
}

TEST(Edit, TurnsAnyTextIntoAnyOther) {
  const std::string texts[] = {"", "a", "aa", "aaa", "ab", "aba", "b", "bab", "abcabc", "abcXabc"};
  for (const auto& from : texts) {
    for (const auto& to : texts) {
      const auto made = Edit::between(from, to).apply(from);
      ASSERT_TRUE(made) << from << " " << to;
      EXPECT_EQ(*made, to);
    }
  }
}

TEST(Edit, RefusesATextThatIsTooShort) {
  EXPECT_TRUE((Edit{.kept_end = 1, .replaced = 2, .text = "x"}.apply("abc")));
  EXPECT_FALSE((Edit{.kept_end = 1, .replaced = 3, .text = "x"}.apply("abc")));
  EXPECT_FALSE((Edit{.kept_end = 4, .replaced = 0, .text = "x"}.apply("abc")));
  EXPECT_FALSE((Edit{.kept_end = ~std::uint64_t{0}, .replaced = 2, .text = "x"}.apply("abc")));
}

TEST(Paths, HaveANameAndAParent) {
  EXPECT_EQ(name_of("a/b/c"), "c");
  EXPECT_EQ(parent_of("a/b/c"), "a/b");
  EXPECT_EQ(name_of("a"), "a");
  EXPECT_EQ(parent_of("a"), "");
  EXPECT_EQ(name_of(""), "");
}

TEST(Renames, MapWhatIsInOpenFoldersOnly) {
  Renames renames;
  renames.go_to("a");
  renames.open("a", "b");
  EXPECT_EQ(renames.map("a/x"), "b/x");
  EXPECT_EQ(renames.map("a"), "a");
  EXPECT_EQ(renames.map("a.c/x"), "a.c/x");
  EXPECT_EQ(renames.map("other"), "other");
  renames.go_to("a/x");
  renames.open("a/x", "b/y");
  EXPECT_EQ(renames.map("a/x/1"), "b/y/1");
  EXPECT_EQ(renames.map("a/2"), "b/2");
  renames.go_to("a/z");
  EXPECT_EQ(renames.map("a/x/1"), "b/x/1");
  renames.go_to("a.c");
  EXPECT_EQ(renames.map("a/2"), "a/2");
}

}  // namespace
}  // namespace instar::delta
