#include "core/revision/upkeep.hpp"

#include <gtest/gtest.h>

#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

constexpr MonotonicMs kUpkeepStart{1'000};

TEST(UpkeepTest, StartsAContainerAtOnceAndThenAfterGrowingPauses) {
  Upkeep upkeep;
  upkeep.plan(kUpkeepStart);
  EXPECT_TRUE(upkeep.is_due(kUpkeepStart));
  upkeep.cancel();
  upkeep.note_ensured(kUpkeepStart);
  auto now = kUpkeepStart;
  for (const std::int64_t pause : {1'000, 2'000, 4'000, 8'000}) {
    upkeep.plan(now);
    EXPECT_FALSE(upkeep.is_due(now + (pause - 1)));
    EXPECT_EQ(upkeep.next_deadline(), now + pause);
    now = now + pause;
    EXPECT_TRUE(upkeep.is_due(now));
    upkeep.cancel();
    upkeep.note_ensured(now);
    upkeep.assert_invariants();
  }
}

TEST(UpkeepTest, APlannedStartIsNotPutOff) {
  Upkeep upkeep;
  upkeep.note_ensured(kUpkeepStart);
  upkeep.plan(kUpkeepStart);
  upkeep.plan(kUpkeepStart + 900);
  EXPECT_TRUE(upkeep.is_due(kUpkeepStart + 1'000));
}

TEST(UpkeepTest, PausesAreShortAgainAfterALongTimeOrACommit) {
  Upkeep upkeep;
  for (int i = 0; i < 5; ++i) upkeep.note_ensured(kUpkeepStart);
  const auto later = kUpkeepStart + limits::kStartPauseMsMax + 1;
  upkeep.note_ensured(later);
  upkeep.plan(later);
  EXPECT_TRUE(upkeep.is_due(later + 1'000));
  upkeep.cancel();
  upkeep.forget(true);
  upkeep.plan(later);
  EXPECT_TRUE(upkeep.is_due(later));
}

TEST(UpkeepTest, SaysWhatIsDegradedWhenThatChanges) {
  Upkeep upkeep;
  EXPECT_FALSE(upkeep.update_degraded("", kUpkeepStart).has_value());
  for (int i = 0; i < 3; ++i) upkeep.note_stop("app", kUpkeepStart);
  EXPECT_EQ(upkeep.worst(kUpkeepStart).second, 3U);
  const auto stopped = upkeep.update_degraded("", kUpkeepStart);
  ASSERT_TRUE(stopped.has_value());
  EXPECT_EQ(stopped->added.size(), 1U);
  EXPECT_FALSE(upkeep.update_degraded("", kUpkeepStart).has_value()) << "said already";
  const auto stuck = upkeep.update_degraded("cannot go back", kUpkeepStart);
  ASSERT_TRUE(stuck.has_value());
  EXPECT_EQ(stuck->added, std::vector<std::string>{"cannot go back"});
  EXPECT_EQ(upkeep.degraded().size(), 2U);
  upkeep.forget(false);
  EXPECT_FALSE(upkeep.update_degraded("cannot go back", kUpkeepStart)->is_over);
  EXPECT_TRUE(upkeep.update_degraded("", kUpkeepStart)->is_over);
}

}  // namespace
}  // namespace instar::revision
