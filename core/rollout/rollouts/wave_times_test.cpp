#include "core/rollout/rollouts/wave_times.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::rollout {
namespace {

using testing::ElementsAre;

constexpr WallMs kEarliest{1'000'000};

// Soaks of 100 s and of 50 s.
wire::Policy three_waves() {
  wire::Policy policy;
  policy.waves = {wire::Wave{.share_bp = 1'000, .soak_s = 100}, wire::Wave{.share_bp = 5'000, .soak_s = 50},
                  wire::Wave{.share_bp = 10'000}};
  return policy;
}

TEST(WaveTimes, ThoseOfThePastStay) {
  std::vector<WallMs> opened{{2'000'000}, {2'300'000}, {2'350'000}};
  const auto before = opened;
  EXPECT_FALSE(mend_wave_times(three_waves(), kEarliest, {2'350'000}, opened));
  EXPECT_EQ(opened, before);
}

TEST(WaveTimes, OfAClockThatWasAheadComeBackWithTheirSoaks) {
  std::vector<WallMs> opened{{9'000'000'000}, {9'000'300'000}, {9'000'400'000}};
  EXPECT_TRUE(mend_wave_times(three_waves(), kEarliest, {3'000'000}, opened));
  EXPECT_THAT(opened, ElementsAre(WallMs{2'850'000}, WallMs{2'950'000}, WallMs{3'000'000}));
}

TEST(WaveTimes, OnlyThoseThatLieInTheFutureAreMoved) {
  std::vector<WallMs> opened{{2'000'000}, {9'000'000'000}};
  EXPECT_TRUE(mend_wave_times(three_waves(), kEarliest, {3'000'000}, opened));
  EXPECT_THAT(opened, ElementsAre(WallMs{2'000'000}, WallMs{3'000'000}));
}

TEST(WaveTimes, AnEarlierOneMakesRoomForTheSoak) {
  std::vector<WallMs> opened{{2'000'000}, {2'100'000}};
  EXPECT_TRUE(mend_wave_times(three_waves(), kEarliest, {2'040'000}, opened));
  EXPECT_THAT(opened, ElementsAre(WallMs{1'940'000}, WallMs{2'040'000}));
}

TEST(WaveTimes, NoneIsMovedToBeforeTheRelease) {
  std::vector<WallMs> opened{{2'000'000}, {2'100'000}};
  EXPECT_TRUE(mend_wave_times(three_waves(), kEarliest, {1'020'000}, opened));
  EXPECT_THAT(opened, ElementsAre(WallMs{1'000'000}, WallMs{1'100'000})) << "its gate has to wait";
}

TEST(WaveTimes, WithoutWavesThereIsNothingToMove) {
  std::vector<WallMs> none;
  EXPECT_FALSE(mend_wave_times({}, kEarliest, {5}, none));
}

}  // namespace
}  // namespace instar::rollout
