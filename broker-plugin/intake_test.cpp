#include "broker-plugin/intake.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

DeviceId device(const std::string& name) {
  return *DeviceId::parse(name);
}

class IntakeTest : public testing::Test {
 protected:
  void TearDown() override { intake_.assert_invariants(); }
  // Whether a message of `bytes` of the client is let in.
  bool send(const std::string& name, std::size_t bytes, Intent intent = Intent::report) {
    const Sender sender{name, "user-of-" + name, true, "10.0.0.7"};
    const Bytes payload(bytes, 7);
    refusal_ = intake_.check(name, sender, intent, payload.size(), now_);
    if (!refusal_.has_value()) refusal_ = intake_.push(name, device(name), true, intent, payload, now_);
    return !refusal_.has_value();
  }
  // Whose messages are handed out until there are none, in order. Each is done at once.
  std::vector<std::string> served(std::size_t at_most = 100'000) {
    std::vector<std::string> names;
    while (names.size() < at_most) {
      const auto next = intake_.next();
      if (!next.has_value()) break;
      names.push_back(next->client);
      intake_.done(next->client, next->message.intent, next->message.payload.size());
    }
    return names;
  }

  IntakeOptions options_{.bytes_max = 20'000,
                         .client_bytes_max = 12'000,
                         .clients_max = 100,
                         .checking_max = 4,
                         .checking_bytes_max = 8'000};
  Intake intake_{options_};
  MonotonicMs now_{1'000'000};
  std::optional<Intake::Refusal> refusal_;
};

TEST_F(IntakeTest, WhatIsTooLargeIsRefusedBeforeItIsCopied) {
  EXPECT_TRUE(send("d", limits::kReportBytesMax));
  EXPECT_FALSE(send("d", limits::kReportBytesMax + 1));
  EXPECT_EQ(refusal_->error.code, Code::too_large);
  EXPECT_NE(refusal_->error.message.find("a report of 4097 bytes"), std::string::npos);
  EXPECT_FALSE(send("d", limits::kHelloBytesMax + 1, Intent::hello));
  EXPECT_EQ(intake_.counts().too_large, 2U);
  EXPECT_EQ(intake_.waiting(), 1U);
}

TEST_F(IntakeTest, AClientHasARateAndGetsItBackWithTime) {
  const auto check = [&](const std::string& name) {
    return !intake_.check(name, {name, "", true, ""}, Intent::report, 100, now_).has_value();
  };
  for (std::int64_t i = 0; i < limits::kReportBurstMax; ++i) ASSERT_TRUE(check("d")) << i;
  EXPECT_FALSE(check("d"));
  EXPECT_EQ(intake_.counts().too_often, 1U);
  EXPECT_TRUE(check("e")) << "another client has its own";
  EXPECT_FALSE(intake_.check("d", {"d", "", true, ""}, Intent::hello, 100, now_).has_value()) << "and so has a hello";
  now_ = now_ + limits::kReportIntervalUs / 1'000;
  EXPECT_TRUE(check("d"));
  EXPECT_FALSE(check("d"));
  now_ = now_ + limits::kReportBurstMax * limits::kReportIntervalUs / 1'000;
  for (std::int64_t i = 0; i < limits::kReportBurstMax; ++i) ASSERT_TRUE(check("d")) << i;
  EXPECT_FALSE(check("d"));
}

TEST_F(IntakeTest, AReconnectBringsNoNewRate) {
  for (std::int64_t i = 0; i < limits::kHelloBurstMax; ++i)
    ASSERT_FALSE(intake_.check("d", {"d", "", true, ""}, Intent::hello, 100, now_).has_value());
  intake_.sweep(now_);
  EXPECT_TRUE(intake_.check("d", {"d", "", true, ""}, Intent::hello, 100, now_).has_value());
}

TEST_F(IntakeTest, OneClientHasItsShareOfRoomAndNoMore) {
  while (send("flood", 1'000)) {
  }
  EXPECT_EQ(refusal_->error.code, Code::unavailable);
  EXPECT_LE(intake_.bytes(), options_.client_bytes_max);
  EXPECT_EQ(intake_.waiting(), 9U);
  EXPECT_TRUE(send("good", 1'000));
}

TEST_F(IntakeTest, AFloodDoesNotDelayAnotherClient) {
  while (send("flood", 200)) {
  }
  ASSERT_TRUE(send("good", 200));
  const auto names = served();
  const auto at = std::ranges::find(names, "good") - names.begin();
  EXPECT_LE(at, 20) << "one turn of the other, which is 8 KiB, and not all that it has waiting";
  EXPECT_EQ(names.size(), 27U);
}

TEST_F(IntakeTest, TurnsGoByBytesNotByMessages) {
  // `small` has as many messages in a turn as fit into the bytes of one that is large.
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(send("large", 3'700));
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(send("small", 200));
  const auto names = served(10);
  EXPECT_EQ(std::ranges::count(names, "large"), 2);
  EXPECT_EQ(std::ranges::count(names, "small"), 8);
}

TEST_F(IntakeTest, WhenAllRoomIsTakenTheHeaviestGivesSomeUp) {
  while (send("flood-0", 1'000)) {
  }
  while (send("flood-1", 1'000)) {
  }
  ASSERT_GT(intake_.bytes() + 2'000, options_.bytes_max);
  while (intake_.take_dropped()) {
  }
  ASSERT_TRUE(send("good", 2'000));
  const auto dropped = intake_.take_dropped();
  ASSERT_TRUE(dropped.has_value());
  EXPECT_EQ(dropped->client, "flood-0") << "the one that has the most";
  EXPECT_LE(intake_.bytes(), options_.bytes_max);
  EXPECT_EQ(std::ranges::count(served(), "good"), 1);
}

TEST_F(IntakeTest, NobodyIsPushedOutByWhoHasMore) {
  for (int i = 0; i < 50 && send("d-" + std::to_string(i), 1'000); ++i) {
  }
  EXPECT_FALSE(send("d-0", 1'000)) << "it has one waiting, like all others";
  EXPECT_FALSE(intake_.take_dropped().has_value());
  EXPECT_EQ(refusal_->error.code, Code::unavailable);
}

TEST_F(IntakeTest, KeepsTheOrderOfAClient) {
  for (std::size_t i = 1; i <= 10; ++i) ASSERT_TRUE(send("d", i * 10));
  for (std::size_t i = 1; i <= 10; ++i) {
    const auto next = intake_.next();
    ASSERT_TRUE(next.has_value());
    EXPECT_EQ(next->message.payload.size(), i * 10);
    intake_.done("d", Intent::report, i * 10);
  }
}

TEST_F(IntakeTest, WhileAHelloIsBeingCheckedItsClientWaits) {
  ASSERT_TRUE(send("new", 500, Intent::hello));
  ASSERT_TRUE(send("new", 100));
  ASSERT_TRUE(send("other", 100));
  const auto hello = intake_.next();
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->message.intent, Intent::hello);
  EXPECT_EQ(served(), std::vector<std::string>{"other"});
  EXPECT_EQ(intake_.waiting(), 1U);
  intake_.done("new", Intent::hello, 500);
  EXPECT_EQ(served(), std::vector<std::string>{"new"});
  EXPECT_TRUE(intake_.is_idle());
}

TEST_F(IntakeTest, HandsOutNoMoreThanCanBeChecked) {
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(send("d-" + std::to_string(i), 100));
  std::vector<Intake::Next> out;
  while (auto next = intake_.next()) out.push_back(std::move(*next));
  EXPECT_EQ(out.size(), options_.checking_max);
  EXPECT_EQ(intake_.waiting(), 2U);
  for (const auto& next : out) intake_.done(next.client, next.message.intent, next.message.payload.size());
  EXPECT_EQ(served().size(), 2U);
}

TEST_F(IntakeTest, AClientIsToldNowAndThenOnly) {
  EXPECT_FALSE(send("d", limits::kReportBytesMax + 1));
  EXPECT_TRUE(refusal_->tell);
  EXPECT_FALSE(send("d", limits::kReportBytesMax + 1));
  EXPECT_FALSE(refusal_->tell);
  now_ = now_ + limits::kIntakeTellMs;
  EXPECT_FALSE(send("d", limits::kReportBytesMax + 1));
  EXPECT_TRUE(refusal_->tell);
}

TEST_F(IntakeTest, ClientsAreForgottenWhenTheyHaveUsedNothingUp) {
  for (int i = 0; i < 100; ++i) {
    const auto name = "d-" + std::to_string(i);
    ASSERT_FALSE(intake_.check(name, {name, "", true, ""}, Intent::hello, 10, now_).has_value()) << i;
  }
  EXPECT_FALSE(send("d-100", 10)) << "as many as are remembered";
  EXPECT_EQ(intake_.counts().no_room, 1U);
  intake_.sweep(now_);
  EXPECT_EQ(intake_.client_count(), 100U) << "each has used something of its rate";
  now_ = now_ + limits::kIntakeTellMs;
  intake_.sweep(now_);
  EXPECT_EQ(intake_.client_count(), 0U);
}

TEST_F(IntakeTest, KnowsWhoIsBehindAName) {
  ASSERT_TRUE(send("d", 10));
  EXPECT_EQ(intake_.sender_of("d").username, "user-of-d");
  EXPECT_EQ(intake_.sender_of("d").address, "10.0.0.7");
  EXPECT_EQ(intake_.sender_of("nobody").client_id, "");
}

TEST_F(IntakeTest, BehindABridgeADeviceIsCountedApart) {
  EXPECT_EQ(Intake::client_of({"gw-01", "", true, ""}, "gw-01"), "gw-01");
  EXPECT_EQ(Intake::client_of({"hub", "", false, ""}, "gw-01"), "hub/gw-01");
}

}  // namespace
}  // namespace instar::broker
