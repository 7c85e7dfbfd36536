#include "mqtt/backoff.hpp"

#include <gtest/gtest.h>

namespace instar::mqtt {
namespace {

TEST(Backoff, DoublesUpToTheMaximum) {
  Backoff backoff(500, 3000);
  EXPECT_NEAR(backoff.next_ms(0xffffffff), 500, 1);
  EXPECT_NEAR(backoff.next_ms(0xffffffff), 1000, 1);
  EXPECT_NEAR(backoff.next_ms(0xffffffff), 2000, 1);
  EXPECT_NEAR(backoff.next_ms(0xffffffff), 3000, 1);
  EXPECT_NEAR(backoff.next_ms(0xffffffff), 3000, 1);
}

TEST(Backoff, DelaysAreInTheUpperHalfOfTheStep) {
  Backoff backoff(1000, 1000);
  EXPECT_EQ(backoff.next_ms(0), 500U);
  EXPECT_EQ(backoff.next_ms(0x80000000), 750U);
}

TEST(Backoff, StartsAgainAfterReset) {
  Backoff backoff(100, 10'000);
  for (int i = 0; i < 5; ++i) (void)backoff.next_ms(0);
  backoff.reset();
  EXPECT_EQ(backoff.next_ms(0), 50U);
}

TEST(Backoff, HandlesAMaximumBelowTheMinimumAndHugeValues) {
  Backoff odd(1000, 10);
  EXPECT_GE(odd.next_ms(0), 500U);
  Backoff huge(0x90000000, 0xffffffff);
  EXPECT_GE(huge.next_ms(0), 0x48000000U);
  EXPECT_GE(huge.next_ms(0), 0x7fffffffU);
  Backoff zero(0, 0);
  EXPECT_GE(zero.next_ms(0), 1U);
}

}  // namespace
}  // namespace instar::mqtt
