// What the status and the answers say of what came of a rollout, and of whom it does not reach.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/trust/digest.hpp"

namespace instar::broker {
namespace {

using testing::HasSubstr;
using wire::Step;

class Outcomes : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fixture_.start().has_value());
    for (auto* device : {&one_, &two_}) fixture_.hello(*device);
    fixture_.settle();
  }
  nlohmann::json say(const char* command, const ManifestId& rollout) {
    auto answer = fixture_.command({{"command", command}, {"rollout", rollout.short_hex()}});
    fixture_.settle();
    return answer;
  }
  // What is retained, once it may be published again.
  nlohmann::json status(const ManifestId& rollout) {
    fixture_.tick(2'000);
    fixture_.settle();
    return fixture_.status(rollout);
  }

  ServiceFixture fixture_;
  PackFixture pack_ = make_pack(1);
  FakeDevice one_{"gw-01"};
  FakeDevice two_{"gw-02", 101};
};

TEST_F(Outcomes, WhatNobodyTookIsSaidInTheRetainedStatus) {
  const auto rollout = fixture_.release(1, pack_);
  EXPECT_EQ(status(rollout)["outcome"], "");
  for (auto* device : {&one_, &two_}) fixture_.report(*device, rollout, Step::refused);
  EXPECT_EQ(status(rollout)["state"], "complete");
  EXPECT_EQ(status(rollout)["outcome"], "nobody took it");
}

TEST_F(Outcomes, ANewerReleaseShowsAtTheOlderOneAtOnceAndAfterAStart) {
  const auto older = fixture_.release(1, pack_);
  fixture_.report(one_, older, Step::committed);
  const auto newer = fixture_.release(2, pack_);
  EXPECT_EQ(status(older)["state"], "superseded");
  EXPECT_EQ(status(older)["superseded_by"], newer.short_hex());
  EXPECT_EQ(status(newer)["superseded_by"], nullptr);
  EXPECT_EQ(status(older)["content"].get<std::string>().size(), 16U);
  const auto aborted = say("abortRollout", older);
  EXPECT_THAT(aborted.value("error", ""), HasSubstr("rollout " + newer.short_hex() + " has taken over"));
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(status(older)["outcome"], "superseded");
  EXPECT_EQ(say("abortRollout", newer)["data"]["state"], "aborted");
  EXPECT_EQ(status(older)["outcome"], "") << "it goes on";
}

TEST_F(Outcomes, AnAbortOfWhatIsCompleteSaysSo) {
  const auto rollout = fixture_.release(1, pack_);
  for (auto* device : {&one_, &two_}) fixture_.report(*device, rollout, Step::committed);
  ASSERT_EQ(status(rollout)["outcome"], "complete");
  EXPECT_THAT(say("abortRollout", rollout).value("error", ""), HasSubstr("has ended (complete)"));
  EXPECT_EQ(status(rollout)["state"], "complete");
  EXPECT_EQ(say("resumeRollout", rollout)["data"]["state"], "complete");
}

TEST_F(Outcomes, TheNextSequenceComesWithWhomTheBrokerKnows) {
  const auto data = fixture_.command(
      {{"command", "nextSequence"}, {"product", "gateway-2"}, {"groups", {"plant-7", "plant-8"}}})["data"];
  EXPECT_EQ(data["by_group"][0]["devices"], 2);
  EXPECT_EQ(data["by_group"][1], (nlohmann::json{{"group", "plant-8"}, {"devices", 0}}));
  EXPECT_EQ(data["groups_known"], nlohmann::json::array({{{"group", "plant-7/line-a"}, {"devices", 2}}}));
  EXPECT_EQ(data["products_known"], nlohmann::json::array({{{"product", "gateway-2"}, {"devices", 2}}}));
  const auto other =
      fixture_.command({{"command", "nextSequence"}, {"product", "press"}, {"groups", {"plant-7"}}})["data"];
  EXPECT_EQ(other["by_group"][0]["devices"], 0);
  EXPECT_TRUE(other["groups_known"].empty());
}

TEST_F(Outcomes, DevicesThatHaveObeyedMoreThanTheReleaseAreShown) {
  one_.running =
      wire::RevisionInfo{"gateway-2", "from-before", 40, ManifestId(trust::digest({})), {pack_.directory.artifact}};
  fixture_.hello(one_);
  fixture_.settle();
  const auto rollout = fixture_.release(7, pack_);
  const auto shown = fixture_.command({{"command", "getRollout"}, {"rollout", rollout.short_hex()}})["data"];
  EXPECT_EQ(shown["devices_ahead"], (nlohmann::json{{"devices", 1}, {"highest_sequence", 40}}));
  fixture_.report(one_, rollout, Step::refused);
  EXPECT_EQ(fixture_.command({{"command", "getRollout"}, {"rollout", rollout.short_hex()}})["data"]["devices_ahead"],
            nullptr)
      << "it has said so itself";
}

}  // namespace
}  // namespace instar::broker
