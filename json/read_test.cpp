#include "json/read.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/base/limits.hpp"

namespace instar::json {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string nested(std::size_t levels, char open, char close) {
  std::string text;
  for (std::size_t i = 0; i < levels; ++i) text += open == '{' ? R"({"a":)" : std::string(1, open);
  if (open == '{') text += "1";
  return text + std::string(levels, close);
}

std::string message_of(std::string_view text) {
  const auto value = read(text);
  return value.has_value() ? "" : value.error().message;
}

TEST(JsonRead, WhatIsReadIsWhatWasWritten) {
  for (const std::string text : {R"({"b":1,"a":[true,false,null,"ü",-3,1.5,{}],"c":{"b":[]}})", "[]", "0", R"("text")",
                                 "null", R"([18446744073709551615,-9223372036854775808])"}) {
    const auto value = read(text);
    ASSERT_TRUE(value.has_value()) << text;
    EXPECT_EQ(value->dump(), text);
  }
}

TEST(JsonRead, ANumberThatNoDoubleHoldsIsAnErrorWithItsPlace) {
  for (const auto& number : {std::string("1e999"), std::string("-1e999"), std::string("1E400"),
                             std::string("123456789e9999"), std::string(400, '9')}) {
    EXPECT_THAT(message_of(number), HasSubstr("number out of range")) << number;
    EXPECT_THAT(message_of("{\"a\": 1,\n \"b\": [" + number + "]}"), HasSubstr("at line 2")) << number;
  }
}

TEST(JsonRead, ANumberThatIsNoWholeOneOfSixtyFourBitsIsNotUnsigned) {
  for (const char* text : {"18446744073709551616", "1e3", "1.0", "-1", "1e-999"}) {
    const auto value = read(text);
    ASSERT_TRUE(value.has_value()) << text;
    EXPECT_FALSE(value->is_number_unsigned()) << text;
  }
}

TEST(JsonRead, LevelsAreBounded) {
  for (const auto& [open, close] : {std::pair{'[', ']'}, std::pair{'{', '}'}}) {
    EXPECT_TRUE(read(nested(limits::kJsonDepthMax, open, close)).has_value());
    const auto deep = read(nested(limits::kJsonDepthMax + 1, open, close));
    ASSERT_FALSE(deep.has_value());
    EXPECT_EQ(deep.error().code, Code::too_large);
    EXPECT_THAT(deep.error().message, HasSubstr("64 levels"));
    EXPECT_FALSE(read(nested(100'000, open, close)).has_value());
  }
  EXPECT_FALSE(read(std::string(1'000'000, '[')).has_value());
}

TEST(JsonRead, AKeyTwiceIsAnErrorThatNamesIt) {
  EXPECT_THAT(message_of(R"({"sequence":1,"b":2,"sequence":3})"), HasSubstr("'sequence' twice"));
  EXPECT_THAT(message_of(R"({"a":{"b":{},"b":{}}})"), HasSubstr("'b' twice"));
  EXPECT_THAT(message_of("{\"\\u202e\":1,\"\\u202e\":2}"), Not(HasSubstr("\u202e")));
  EXPECT_TRUE(read(R"({"a":{"a":1},"b":{"a":[{"a":1},{"a":1}]}})").has_value()) << "of different objects";
}

TEST(JsonRead, WhatIsNotJsonIsAnErrorWithItsPlace) {
  for (const char* text :
       {"",    " ",          "{",       "[1,]",     "{\"a\" 1}",        "{a:1}",       "NaN", "Infinity",
        "01",  "+1",         "1 2",     "\"\xff\"", "\"\xed\xa0\x80\"", "\"\\ud800\"", "tru", "[1",
        "\"a", "{\"a\":1}}", "// x\n1", "\"a\nb\""}) {
    EXPECT_THAT(message_of(text), HasSubstr("is not valid JSON at line ")) << text;
  }
  EXPECT_THAT(message_of("{\n  \"a\": x\n}"), HasSubstr("at line 2, column 8"));
}

TEST(JsonRead, ManyKeysTakeTheTimeOfOneEach) {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) text += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":0";
  const auto value = read(text + "}");
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(value->size(), 100'000U);
  EXPECT_FALSE(read(text + ",\"k7\":1}").has_value());
}

}  // namespace
}  // namespace instar::json
