#include "core/rollout/devices/tombstones.hpp"

#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/rollout/testing/messages.hpp"

namespace instar::rollout {
namespace {

trust::PublicKey numbered_key(std::size_t number) {
  return wire::examples::key(static_cast<std::uint8_t>(number)).public_key();
}

class TombstonesTest : public testing::Test {
 protected:
  void TearDown() override { tombstones.assert_invariants(); }
  Tombstones tombstones;
  Effects effects;
};

TEST_F(TombstonesTest, AKeyThatWasTakenBackDoesNotComeAgain) {
  tombstones.add(id("d"), numbered_key(1), kNow.wall, effects);
  EXPECT_EQ(tombstones.check(id("d"), numbered_key(1)).error().code, Code::untrusted_key);
  EXPECT_TRUE(tombstones.check(id("d"), numbered_key(2)).has_value()) << "another key";
  EXPECT_TRUE(tombstones.check(id("e"), numbered_key(1)).has_value()) << "another device";
  ASSERT_EQ(effects.size(), 1U);
  Tombstones stored;
  stored.load(id("d"), decode_tombstones(*std::get<SaveTombstones>(effects[0]).record).value());
  EXPECT_FALSE(stored.check(id("d"), numbered_key(1)).has_value());
}

TEST_F(TombstonesTest, AnOperatorLetsItComeAgain) {
  EXPECT_FALSE(tombstones.lift(id("d"), effects));
  tombstones.add(id("d"), numbered_key(1), kNow.wall, effects);
  EXPECT_TRUE(tombstones.lift(id("d"), effects));
  EXPECT_TRUE(tombstones.check(id("d"), numbered_key(1)).has_value());
  EXPECT_FALSE(std::get<SaveTombstones>(effects.back()).record.has_value()) << "nothing is left in the store";
}

TEST_F(TombstonesTest, OfOneDeviceTheOldestIsGivenUp) {
  for (std::size_t i = 0; i <= limits::kTombstonesPerDeviceMax; ++i)
    tombstones.add(id("d"), numbered_key(i + 1), kNow.wall + static_cast<std::int64_t>(i), effects);
  EXPECT_EQ(tombstones.count(), limits::kTombstonesPerDeviceMax);
  EXPECT_TRUE(tombstones.check(id("d"), numbered_key(1)).has_value());
  EXPECT_FALSE(tombstones.check(id("d"), numbered_key(2)).has_value());
}

TEST_F(TombstonesTest, OfAllTheOldestIsGivenUp) {
  for (std::size_t i = 0; i < limits::kTombstonesMax; ++i) {
    tombstones.load(id("d" + std::to_string(i)),
                    {{wire::examples::hash("key"), kNow.wall + static_cast<std::int64_t>(i)}});
  }
  tombstones.add(id("last"), numbered_key(1), kNow.wall + 1'000'000'000, effects);
  EXPECT_EQ(tombstones.count(), limits::kTombstonesMax);
  EXPECT_FALSE(tombstones.lift(id("d0"), effects)) << "it was the oldest";
  EXPECT_TRUE(tombstones.lift(id("d1"), effects));
}

}  // namespace
}  // namespace instar::rollout
