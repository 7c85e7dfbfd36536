#include "core/revision/hearing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::revision {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kHeardDayMs = 86'400'000;

Now heard_at(std::int64_t ms) {
  return {WallMs{1'700'000'000'000} + ms, MonotonicMs{1'000} + ms};
}

TEST(HearingTest, RemembersTheNewestSignatureAndWhenItHeardLast) {
  Hearing hearing({}, 7);
  hearing.begin(heard_at(0));
  EXPECT_TRUE(hearing.heard_gate(heard_at(-5'000).wall, heard_at(0))) << "the first one is remembered";
  EXPECT_FALSE(hearing.heard_gate(heard_at(-9'000).wall, heard_at(1'000)));
  EXPECT_EQ(hearing.state().last_signed, heard_at(-5'000).wall);
  EXPECT_EQ(hearing.state().heard, heard_at(1'000).wall);
  EXPECT_FALSE(hearing.heard_ack(heard_at(2'000)));
  EXPECT_TRUE(hearing.heard_ack(heard_at(2'000 + kHeardDayMs))) << "once a day is enough";
}

TEST(HearingTest, OneFromTheFutureDoesNotHideThoseAfterIt) {
  Hearing hearing({}, 7);
  EXPECT_TRUE(hearing.heard_gate(heard_at(400 * kHeardDayMs).wall, heard_at(0)));
  EXPECT_FALSE(hearing.heard_gate(heard_at(10).wall, heard_at(20)));
  EXPECT_EQ(hearing.state().last_signed, heard_at(10).wall);
}

TEST(HearingTest, ComplainsOnceOfEachSilence) {
  Hearing hearing({}, 7);
  hearing.begin(heard_at(0));
  EXPECT_TRUE(hearing.heard_gate(heard_at(0).wall, heard_at(0)));
  EXPECT_EQ(hearing.next_deadline(true), heard_at(7 * kHeardDayMs).monotonic);
  EXPECT_EQ(hearing.complain(true, heard_at(7 * kHeardDayMs - 1)), std::nullopt);
  EXPECT_EQ(hearing.complain(true, heard_at(7 * kHeardDayMs)),
            "nothing has come from the broker for 7 days: the last gate was signed at 2023-11-14 22:13 UTC");
  EXPECT_EQ(hearing.complain(true, heard_at(8 * kHeardDayMs)), std::nullopt);
  EXPECT_EQ(hearing.next_deadline(true), std::nullopt);
  EXPECT_TRUE(hearing.heard_ack(heard_at(9 * kHeardDayMs)));
  EXPECT_EQ(hearing.complain(true, heard_at(15 * kHeardDayMs)), std::nullopt);
  EXPECT_TRUE(hearing.complain(true, heard_at(16 * kHeardDayMs)).has_value());
}

TEST(HearingTest, ABrokerThatNeverHadAGateMayBeSilentWhileTheLinkIsUp) {
  Hearing hearing({}, 7);
  hearing.begin(heard_at(0));
  EXPECT_EQ(hearing.complain(true, heard_at(30 * kHeardDayMs)), std::nullopt);
  EXPECT_EQ(hearing.next_deadline(true), std::nullopt) << "one in the past would keep the device awake";
  EXPECT_TRUE(hearing.complain(false, heard_at(30 * kHeardDayMs)).has_value());
}

TEST(HearingTest, CountsOverRestarts) {
  Hearing hearing({heard_at(0).wall, heard_at(0).wall}, 7);
  hearing.begin({heard_at(6 * kHeardDayMs).wall, MonotonicMs{10}});
  EXPECT_EQ(hearing.complain(false, {heard_at(6 * kHeardDayMs).wall, MonotonicMs{20}}), std::nullopt);
  EXPECT_TRUE(hearing.complain(false, {heard_at(7 * kHeardDayMs).wall, MonotonicMs{kHeardDayMs}}).has_value());
  EXPECT_EQ(silent_days(hearing.state(), heard_at(7 * kHeardDayMs).wall), 7);
  EXPECT_EQ(silent_days(hearing.state(), heard_at(-kHeardDayMs).wall), 0) << "the clock was set back";
  EXPECT_EQ(silent_days({}, heard_at(0).wall), 0);
}

TEST(HearingTest, ZeroDaysIsNever) {
  Hearing hearing({}, 0);
  hearing.begin(heard_at(0));
  EXPECT_EQ(hearing.complain(false, heard_at(3'000 * kHeardDayMs)), std::nullopt);
  EXPECT_EQ(hearing.next_deadline(true), std::nullopt);
}

}  // namespace
}  // namespace instar::revision
