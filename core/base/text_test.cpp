#include "core/base/text.hpp"

#include <gtest/gtest.h>

#include <string>

#include "core/base/bytes.hpp"

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

// Marks and overrides of direction, what has no width, separators of lines, tags.
TEST(CleanText, RefusesWhatHidesOrTurnsTextAround) {
  for (const std::string hidden :
       {"\u00ad", "\u034f", "\u061c", "\u115f", "\u17b4", "\u180e",     "\u200b",     "\u200c",
        "\u200d", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a",     "\u202b",     "\u202c",
        "\u202d", "\u202e", "\u2060", "\u2066", "\u2067", "\u2068",     "\u2069",     "\u206f",
        "\u3164", "\ufe0f", "\ufeff", "\uffa0", "\ufff9", "\U0001d173", "\U000e0041", "\U000e01ef"}) {
    const std::string text = "a" + hidden + "b";
    EXPECT_FALSE(is_clean_text(text)) << to_hex(as_bytes(text));
    EXPECT_EQ(clean_text(text, 1024), "a" + std::string(hidden.size(), '?') + "b");
    EXPECT_EQ(clean_line(text), "a" + std::string(hidden.size(), '?') + "b");
  }
  // Their neighbours are seen.
  for (const char* shown : {"\u00ac", "\u00ae", "\u061b", "\u200a", "\u2010", "\u2027", "\u202f", "\u205f", "\u2070",
                            "\ufe10", "\ufefe", "\ufffd", "\U000dffff", "\U000e1000"}) {
    EXPECT_TRUE(is_clean_text(shown)) << to_hex(as_bytes(shown));
  }
}

TEST(CleanText, ALineHasNoOther) {
  EXPECT_EQ(clean_line("a\nb\tc\rd\x1b[2J"), "a?b?c?d?[2J");
  EXPECT_EQ(clean_line("Grüße 日本語"), "Grüße 日本語");
}

TEST(CleanJson, EscapesWhatIsHidden) {
  EXPECT_EQ(clean_json("{\"a\":\"x\u202ey\",\n \"ü\":\"\x7f\u009b\U000e0041\"}"),
            "{\"a\":\"x\\u202ey\",\n \"ü\":\"\\u007f\\u009b\\udb40\\udc41\"}");
  EXPECT_EQ(clean_json("[1,true,\"plain\"]"), "[1,true,\"plain\"]");
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
