#include "mqtt/repeated_words.hpp"

#include <gtest/gtest.h>

namespace instar::mqtt {
namespace {

constexpr std::int64_t kMinute = 60'000;

TEST(RepeatedWords, AreSaidOnceAndThenCounted) {
  RepeatedWords words;
  EXPECT_EQ(words.say("dns", "no name", {0}), "no name");
  for (int i = 1; i < 10; ++i) EXPECT_EQ(words.say("dns", "no name", {i * kMinute}), std::nullopt);
  EXPECT_EQ(words.say("dns", "no name", {10 * kMinute}), "still: no name (11 times in 10 min)");
  EXPECT_EQ(words.say("dns", "no name", {49 * kMinute}), std::nullopt) << "the next one takes four times as long";
  EXPECT_EQ(words.say("dns", "no name", {50 * kMinute}), "still: no name (13 times in 50 min)");
}

TEST(RepeatedWords, AreSaidAtLeastEachDay) {
  RepeatedWords words;
  static_cast<void>(words.say("dns", "no name", {0}));
  int said = 0;
  for (int hour = 1; hour <= 30 * 24; ++hour) said += words.say("dns", "no name", {hour * 60 * kMinute}) ? 1 : 0;
  EXPECT_GE(said, 29);
  EXPECT_LE(said, 35);
}

TEST(RepeatedWords, SomethingElseIsNews) {
  RepeatedWords words;
  EXPECT_TRUE(words.say("dns", "no name", {0}));
  EXPECT_EQ(words.say("tls", "expired", {1}), "expired");
  EXPECT_EQ(words.say("dns", "no name", {2}), "no name");
  EXPECT_EQ(words.say("dns", "no name at 12:01", {3}), std::nullopt) << "the same cause, though the words differ";
  words.forget();
  EXPECT_EQ(words.say("dns", "no name", {4}), "no name");
}

}  // namespace
}  // namespace instar::mqtt
