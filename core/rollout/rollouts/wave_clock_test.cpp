#include "core/rollout/rollouts/wave_clock.hpp"

#include <gtest/gtest.h>

namespace instar::rollout {
namespace {

TEST(WaveClock, CountsFromTheOpeningAndTheSoak) {
  WaveClock clock;
  clock.wave_opened({1'000});
  clock.soak_restarted({4'000});
  EXPECT_EQ(clock.times({5'000}).open_ms, 4'000);
  EXPECT_EQ(clock.times({5'000}).settled_ms, 1'000);
}

TEST(WaveClock, AfterARestartHalfOfTheTimeForSilenceIsLeft) {
  RolloutRecord record;
  record.wave_opened = {{1'000'000}};
  record.soaked_ms = 7'000;
  WaveClock clock;
  clock.load(record, 60'000, {{1'010'000}, {500}});
  EXPECT_EQ(clock.times({500}).open_ms, 10'000);
  EXPECT_EQ(clock.times({500}).settled_ms, 7'000);
  clock.load(record, 60'000, {{9'000'000}, {500}});
  EXPECT_EQ(clock.times({500}).open_ms, 30'000);
  clock.load(record, 60'000, {{1}, {500}});
  EXPECT_EQ(clock.times({500}).open_ms, 0) << "the wall clock was set back";
}

}  // namespace
}  // namespace instar::rollout
