#include "publisher/console/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::publisher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ParseSize, TakesDecimalAndBinaryUnits) {
  EXPECT_EQ(parse_size("0"), 0U);
  EXPECT_EQ(parse_size("1500"), 1500U);
  EXPECT_EQ(parse_size("64k"), 64'000U);
  EXPECT_EQ(parse_size("64K"), 64'000U);
  EXPECT_EQ(parse_size("1.5M"), 1'500'000U);
  EXPECT_EQ(parse_size("2G"), 2'000'000'000U);
  EXPECT_EQ(parse_size("64Ki"), 65'536U);
  EXPECT_EQ(parse_size("32MiB"), 32U * 1024 * 1024);
  EXPECT_EQ(parse_size("10 MB"), 10'000'000U);
  EXPECT_EQ(parse_size("812B"), 812U);
}

TEST(ParseSize, RefusesEverythingElse) {
  for (const auto* text :
       {"", "k", "-1", "1e3", "1.2.3M", "12Q", "12KiX", "1 2", ".5M", "99999999999T", "0x10", "nan"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().code, Code::invalid_argument) << text;
    EXPECT_THAT(size.error().message, HasSubstr("'" + std::string(text) + "'"));
  }
}

TEST(ParseDuration, TakesUnitsAndSums) {
  EXPECT_EQ(parse_duration_ms("0"), 0);
  EXPECT_EQ(parse_duration_ms("500ms"), 500);
  EXPECT_EQ(parse_duration_ms("10s"), 10'000);
  EXPECT_EQ(parse_duration_ms("1.5s"), 1'500);
  EXPECT_EQ(parse_duration_ms("5m"), 300'000);
  EXPECT_EQ(parse_duration_ms("5min"), 300'000);
  EXPECT_EQ(parse_duration_ms("2h"), 7'200'000);
  EXPECT_EQ(parse_duration_ms("90d"), std::int64_t{90} * 86'400'000);
  EXPECT_EQ(parse_duration_ms("2w"), std::int64_t{14} * 86'400'000);
  EXPECT_EQ(parse_duration_ms("1h30min"), 5'400'000);
  EXPECT_EQ(parse_duration_ms("1h 30s"), 3'630'000);
}

TEST(ParseDuration, RefusesEverythingElse) {
  for (const auto* text : {"", "s", "10", "10 s x", "-5s", "5y", "1h30", "10ss", "99999999w"}) {
    EXPECT_FALSE(parse_duration_ms(text)) << text;
  }
}

TEST(SplitWords, FollowsQuotesAndBackslashes) {
  EXPECT_THAT(*split_words("/usr/sbin/webd -f  --port 80"), ElementsAre("/usr/sbin/webd", "-f", "--port", "80"));
  EXPECT_THAT(*split_words("sh -c 'exit 1'"), ElementsAre("sh", "-c", "exit 1"));
  EXPECT_THAT(*split_words(R"(a "b \"c\"" '' d\ e)"), ElementsAre("a", "b \"c\"", "", "d e"));
  EXPECT_THAT(*split_words(R"('a\b')"), ElementsAre(R"(a\b)"));
  EXPECT_THAT(*split_words("   "), ElementsAre());
  EXPECT_FALSE(split_words("sh -c 'open"));
  EXPECT_FALSE(split_words("\""));
}

TEST(HumanBytes, HasThreeDigits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1'000), "1.00 kB");
  EXPECT_EQ(human_bytes(9'994), "9.99 kB");
  EXPECT_EQ(human_bytes(9'996), "10.0 kB");
  EXPECT_EQ(human_bytes(99'960), "100 kB");
  EXPECT_EQ(human_bytes(999'499), "999 kB");
  EXPECT_EQ(human_bytes(999'500), "1.00 MB");
  EXPECT_EQ(human_bytes(9'207'813), "9.21 MB");
  EXPECT_EQ(human_bytes(~std::uint64_t{0}), "18.4 EB");
}

TEST(HumanDuration, ChoosesTwoUnits) {
  EXPECT_EQ(human_duration(0), "0 ms");
  EXPECT_EQ(human_duration(350), "350 ms");
  EXPECT_EQ(human_duration(12'449), "12.4 s");
  EXPECT_EQ(human_duration(59'999), "59.9 s");
  EXPECT_EQ(human_duration(60'000), "1 min");
  EXPECT_EQ(human_duration(200'000), "3 min 20 s");
  EXPECT_EQ(human_duration(7'500'000), "2 h 5 min");
  EXPECT_EQ(human_duration(std::int64_t{76} * 3'600'000), "3 d 4 h");
  EXPECT_EQ(human_duration(-350), "-350 ms");
}

TEST(RelativeTime, IsInThePastOrTheFuture) {
  const WallMs now{1'000'000'000'000};
  EXPECT_EQ(relative_time({0}, now), "never");
  EXPECT_EQ(relative_time(now, now), "now");
  EXPECT_EQ(relative_time(now + -12'000, now), "12 s ago");
  EXPECT_EQ(relative_time(now + -180'000, now), "3 min ago");
  EXPECT_EQ(relative_time(now + -7'200'000, now), "2 h ago");
  EXPECT_EQ(relative_time(now + std::int64_t{5} * 86'400'000, now), "in 5 d");
}

TEST(UtcTime, HasMilliseconds) {
  EXPECT_EQ(utc_time({1'763'881'282'007}), "2025-11-23T07:01:22.007Z");
}

TEST(CountOf, AddsThePlural) {
  EXPECT_EQ(count_of(1, "device"), "1 device");
  EXPECT_EQ(count_of(0, "device"), "0 devices");
  EXPECT_EQ(count_of(12, "device"), "12 devices");
}

}  // namespace
}  // namespace instar::publisher
