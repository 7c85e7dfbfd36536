// A wave by count lets so many begin as it says, also where the fleet was not known when it opened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/rollout/testing/tracker_fixture.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

using testing::HasSubstr;

class CountWaveTest : public testing::Test {
 protected:
  // Twenty, then a tenth, then everyone.
  static wire::Manifest twenty() {
    auto out = manifest(1);
    out.policy.waves = {wire::Wave{.device_count = 20}, wire::Wave{.share_bp = 1'000}, wire::Wave{.share_bp = 10'000}};
    return out;
  }
  void come(int first, int last) {
    for (int i = first; i < last; ++i) ASSERT_TRUE(fixture.hello(hello(name(i))).has_value());
  }
  // As a device does: those that the last gate admits ask for their turn. Those that were given one are added.
  void ask(int first, int last) {
    const auto limit = fixture.rollout(1).record.wave_limits.back();
    for (int i = first; i < last; ++i) {
      if (wire::placement_point(fixture.rollout(1).release->policy.salt, id(name(i))) >= limit) continue;
      ++asked;
      ASSERT_TRUE(fixture.ask(name(i), 1).has_value());
      for (auto& device : fixture.started()) begun.insert(std::move(device));
    }
  }
  static std::string name(int i) { return "d" + std::to_string(i); }
  // It fetches, and commits.
  void commit(const std::string& device) {
    ASSERT_EQ(fixture.tracker.charge(id(device), hash(1).prefix64(), pack(), 1), Charge::ok);
    fixture.save_bytes();
    ASSERT_TRUE(fixture.report_step(device, 1, Step::committed).has_value());
    for (auto& other : fixture.started()) begun.insert(std::move(other));
  }
  TrackerFixture fixture;
  std::set<std::string> begun;
  std::size_t asked = 0;
};

TEST_F(CountWaveTest, OfTwoThousandThatComeAfterItHasOpenedTwentyBegin) {
  ASSERT_TRUE(fixture.take(twenty()).has_value());
  fixture.all_is_saved = false;  // two thousand times two thousand devices are too many to compare
  fixture.pass(1);
  come(0, 2'000);
  EXPECT_EQ(fixture.rollout(1).record.wave, 0U) << "who comes proves nothing";
  EXPECT_THAT(fixture.waits(1), HasSubstr("more devices: 20 devices may begin in this wave, 0 have"));
  ask(0, 2'000);
  EXPECT_GT(asked, 100U) << "a tenth lies below the gate's limit";
  EXPECT_EQ(begun.size(), 20U);
  std::size_t committed = 0;
  for (const auto& device : std::set(begun)) {
    EXPECT_EQ(fixture.rollout(1).record.wave, 0U) << "after " << committed << " of 20";
    commit(device);
    ++committed;
  }
  EXPECT_EQ(fixture.rollout(1).record.wave, 1U) << fixture.waits(1);
  EXPECT_EQ(begun.size(), asked) << "the next wave gives the others their turn";
}

TEST_F(CountWaveTest, WithFewKnownTheRestOfTheTwentyComesOfThoseThatCome) {
  come(0, 5);
  auto release = twenty();
  release.policy.waves = {wire::Wave{.device_count = 20}, wire::Wave{.share_bp = 10'000}};
  ASSERT_TRUE(fixture.take(release).has_value());
  fixture.pass(1);
  EXPECT_EQ(fixture.rollout(1).waves[0].admitted, 5U);
  come(5, 60);
  ask(20, 60);
  EXPECT_EQ(begun.size(), 15U) << "five places are those of the ones that were known";
  ask(0, 5);
  EXPECT_EQ(begun.size(), 20U);
  ask(5, 20);
  EXPECT_EQ(begun.size(), 20U);
}

TEST_F(CountWaveTest, WithMoreKnownThanTwentyNobodyWhoComesLaterBegins) {
  come(0, 30);
  auto release = twenty();
  release.policy.waves = {wire::Wave{.device_count = 20}, wire::Wave{.share_bp = 10'000}};
  ASSERT_TRUE(fixture.take(release).has_value());
  fixture.pass(1);
  come(30, 300);
  ask(30, 300);
  EXPECT_GT(asked, 100U);
  EXPECT_EQ(begun.size(), 0U);
  asked = 0;
  ask(0, 30);
  EXPECT_EQ(asked, 20U) << "the gate admits no other of those that were known";
  EXPECT_EQ(begun.size(), 20U) << "nobody who waits in vain stands before them";
}

TEST_F(CountWaveTest, ALatecomerThatHasBegunKeepsItsPlaceOverARestartAndForItsNextAttempt) {
  auto release = twenty();
  release.policy.waves = {wire::Wave{.device_count = 2}, wire::Wave{.share_bp = 10'000}};
  release.policy.attempts_max = 2;
  ASSERT_TRUE(fixture.take(release).has_value());
  fixture.pass(1);
  come(0, 4);
  ask(0, 4);
  ASSERT_EQ(begun, (std::set<std::string>{"d0", "d1"}));
  fixture.restart();
  ASSERT_TRUE(fixture.report_step("d0", 1, Step::failed, 1, true).has_value());
  for (const auto& device : fixture.started()) begun.insert(device);
  EXPECT_EQ(begun.size(), 2U) << "it has begun, and will again";
  ASSERT_TRUE(fixture.ask("d0", 1, 2).has_value());
  EXPECT_EQ(fixture.started(), std::vector<std::string>{"d0"});
}

TEST_F(CountWaveTest, WhereNobodyLiesBelowTheNextShareItIsPassedOver) {
  come(0, 1);
  auto release = twenty();
  release.policy.waves = {wire::Wave{.device_count = 20}, wire::Wave{.share_bp = 1}, wire::Wave{.share_bp = 10'000}};
  ASSERT_TRUE(fixture.take(release).has_value());
  EXPECT_EQ(fixture.rollout(1).record.wave, 2U) << "the one device that is known is in none of the first two";
}

}  // namespace
}  // namespace instar::rollout
