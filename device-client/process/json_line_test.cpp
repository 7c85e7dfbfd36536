#include "device-client/process/json_line.hpp"

#include <gtest/gtest.h>

namespace instar::device {
namespace {

TEST(JsonLine, WritesWhatItReads) {
  const std::string nasty = std::string("q\" b\\ n\n t\t z") + '\0' + "e\x7f ü 漢";
  const std::string line = JsonLine().add("s", nasty).add("n", std::int64_t{-5}).add("t", true).add("f", false).str();
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto fields = JsonFields::parse(line);
  ASSERT_TRUE(fields.has_value()) << fields.error().message;
  EXPECT_EQ(fields->text("s"), nasty);
  EXPECT_EQ(fields->integer("n"), -5);
  EXPECT_TRUE(fields->flag("t"));
  EXPECT_FALSE(fields->flag("f"));
  EXPECT_FALSE(fields->flag("absent"));
  EXPECT_FALSE(fields->text("n").has_value());
  EXPECT_FALSE(fields->integer("s").has_value());
}

TEST(JsonLine, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(json_quote("a\xff"
                       "b"),
            "\"a\xef\xbf\xbd"
            "b\"");
  EXPECT_EQ(json_quote("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"") << "overlong";
  EXPECT_EQ(json_quote("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"") << "surrogate";
  EXPECT_EQ(json_quote("\xe6\xbc"), "\"\xef\xbf\xbd\xef\xbf\xbd\"") << "cut short";
}

TEST(JsonLine, ReadsSpacesEscapesAndEmptyObjects) {
  EXPECT_TRUE(JsonFields::parse(" { } \n").has_value());
  const auto fields = JsonFields::parse(R"( { "a" : "\u0041\/\n" , "b" : null, "c":"\ud800" } )");
  ASSERT_TRUE(fields.has_value());
  EXPECT_EQ(fields->text("a"), "A/\n");
  EXPECT_FALSE(fields->text("b").has_value());
  EXPECT_EQ(fields->text("c"), "\xef\xbf\xbd");
}

TEST(JsonLine, RefusesEverythingElse) {
  for (const char* bad : {"",
                          "{",
                          "}",
                          "[]",
                          "{\"a\"}",
                          "{\"a\":}",
                          "{\"a\":1,}",
                          "{,\"a\":1}",
                          "{\"a\":1 \"b\":2}",
                          "{\"a\":{}}",
                          "{\"a\":[1]}",
                          "{\"a\":1}x",
                          "{\"a\":1,\"a\":2}",
                          "{\"a\":\"\\x\"}",
                          "{\"a\":\"\\u00g0\"}",
                          "{\"a\":\"\\u00\"}",
                          "{\"a\":\"\n\"}",
                          "{\"a\":\"",
                          "{\"a\":99999999999999999999}",
                          "{\"a\":1e999}",
                          "{\"a\":1.5}",
                          "{\"a\":-9223372036854775809}",
                          "{\"a\":tru}",
                          "{a:1}"})
    EXPECT_EQ(JsonFields::parse(bad).error().code, Code::malformed) << bad;
  EXPECT_EQ(JsonFields::parse(std::string(70'000, ' ')).error().code, Code::too_large);
}

}  // namespace
}  // namespace instar::device
