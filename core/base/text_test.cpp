#include "core/base/text.hpp"

#include <gtest/gtest.h>

namespace instar {
namespace {

TEST(CleanText, AcceptsEveryScript) {
  for (const std::string good : {"", "plain", "two\nlines\tand tab", "Grüße", "日本語", "🦋", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_clean_text(good)) << good;
    EXPECT_EQ(clean_text(good, 1024), good);
  }
}

TEST(CleanText, RefusesTerminalControlsAndInvalidUtf8) {
  for (const auto& bad : {std::string("\x1b[2J"), std::string("a\rb"), std::string("nul\0", 4), std::string("\x7f"),
                          std::string("\xc2\x9b"), std::string("\xff"), std::string("\xc0\xaf"),
                          std::string("\xe0\x80\xaf"), std::string("\xed\xa0\x80"), std::string("\xf4\x90\x80\x80"),
                          std::string("\xf8\x88\x80\x80\x80"), std::string("cut \xe6\x97"), std::string("\x80")}) {
    EXPECT_FALSE(is_clean_text(bad)) << bad;
    EXPECT_TRUE(is_clean_text(clean_text(bad, 1024)));
    EXPECT_EQ(clean_text(bad, 1024).size(), bad.size());
  }
}

TEST(CleanText, CutsBetweenCharacters) {
  EXPECT_EQ(clean_text("aü", 2), "a");
  EXPECT_EQ(clean_text("aü", 3), "aü");
  EXPECT_EQ(clean_text("abc", 0), "");
}

TEST(Trim, RemovesBlanksAtBothEndsOnly) {
  EXPECT_EQ(trim(" \t a b\r "), "a b");
  EXPECT_EQ(trim("a"), "a");
  EXPECT_EQ(trim(" \t\r"), "");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim("\na\n"), "\na\n") << "a line feed is no blank";
}

}  // namespace
}  // namespace instar
