#include "core/revision/name_clash.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

using Told = NameClash::Told;
using testing::HasSubstr;

constexpr std::uint32_t kOwnBoot = 6;
constexpr std::uint64_t kOwnInstance = 77;
constexpr MonotonicMs kClashStart{1'000};

wire::Ack stale_ack(std::uint32_t boot, std::uint64_t instance) {
  wire::Ack ack;
  ack.code = Code::stale;
  ack.boot = boot;
  ack.instance = instance;
  return ack;
}

TEST(NameClash, AnOldHelloOfItsOwnThatIsSentAgainChangesNothing) {
  NameClash clash;
  EXPECT_EQ(clash.told(stale_ack(kOwnBoot, kOwnInstance), kOwnBoot, kOwnInstance, kClashStart), Told::nothing);
  EXPECT_EQ(clash.told(stale_ack(kOwnBoot - 1, 5), kOwnBoot, kOwnInstance, kClashStart), Told::nothing);
  EXPECT_EQ(clash.trouble(kClashStart), "");
}

TEST(NameClash, AStartAsLateAsItsOwnIsGoneAbove) {
  NameClash clash;
  EXPECT_EQ(clash.told(stale_ack(kOwnBoot, 5), kOwnBoot, kOwnInstance, kClashStart), Told::go_on);
  EXPECT_EQ(clash.told(stale_ack(kOwnBoot + limits::kBootJumpMax, 5), kOwnBoot, kOwnInstance, kClashStart),
            Told::go_on);
  EXPECT_EQ(clash.trouble(kClashStart), "") << "its state may have been lost";
}

TEST(NameClash, OneThatIsAbsurdlyFarIsNot) {
  NameClash clash;
  EXPECT_EQ(clash.told(stale_ack(kOwnBoot + limits::kBootJumpMax + 1, 5), kOwnBoot, kOwnInstance, kClashStart),
            Told::too_far);
  EXPECT_THAT(clash.trouble(kClashStart), HasSubstr("devices replace"));
  EXPECT_FALSE(clash.taken(kClashStart)) << "that is about what was said before";
  EXPECT_NE(clash.trouble(kClashStart), "");
  EXPECT_TRUE(clash.taken(kClashStart + 1)) << "an operator has made room";
  EXPECT_EQ(clash.trouble(kClashStart + 1), "");
  EXPECT_FALSE(clash.taken(kClashStart + 2));
}

TEST(NameClash, AgainAndAgainWithinAnHourIsTold) {
  NameClash clash;
  auto now = kClashStart;
  for (std::size_t i = 0; i < limits::kClashesMax; ++i, now = now + 60'000) {
    EXPECT_EQ(clash.trouble(now), "");
    EXPECT_EQ(clash.told(stale_ack(kOwnBoot, 5), kOwnBoot, kOwnInstance, now), Told::go_on);
  }
  EXPECT_THAT(clash.trouble(now), HasSubstr("cloned disk"));
  const auto over = clash.next_deadline(now);
  ASSERT_TRUE(over.has_value());
  EXPECT_EQ(clash.trouble(*over), "");
  EXPECT_EQ(clash.next_deadline(*over), std::nullopt);
  EXPECT_EQ(clash.trouble(now + 3'600'000), "") << "it has been quiet for an hour";
  clash.assert_invariants();
}

}  // namespace
}  // namespace instar::revision
