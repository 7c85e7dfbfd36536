#include "core/rollout/devices/newcomers.hpp"

#include <gtest/gtest.h>

namespace instar::rollout {
namespace {

TEST(Newcomers, EachLoginHasItsOwnBound) {
  Newcomers newcomers;
  newcomers.bound(2);
  newcomers.add("evil");
  newcomers.add("evil");
  const auto refused = newcomers.check("evil");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_NE(refused.error().message.find("login 'evil' has brought 2 devices"), std::string::npos);
  EXPECT_TRUE(newcomers.check("plant-7").has_value());
  newcomers.assert_invariants();
}

TEST(Newcomers, OneThatTakesPartOrGoesMakesRoom) {
  Newcomers newcomers;
  newcomers.bound(1);
  newcomers.add("shared");
  newcomers.remove("shared");
  EXPECT_TRUE(newcomers.check("shared").has_value());
  EXPECT_EQ(newcomers.count(), 0U);
  newcomers.assert_invariants();
}

TEST(Newcomers, ALoweredBoundTakesNobodyAway) {
  Newcomers newcomers;
  for (int i = 0; i < 5; ++i) newcomers.add("shared");
  newcomers.bound(3);
  newcomers.assert_invariants();
  EXPECT_FALSE(newcomers.check("shared").has_value());
  EXPECT_EQ(newcomers.count("shared"), 5U);
}

}  // namespace
}  // namespace instar::rollout
