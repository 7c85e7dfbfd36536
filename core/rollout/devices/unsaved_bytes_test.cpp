#include "core/rollout/devices/unsaved_bytes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/rollout/testing/messages.hpp"

namespace instar::rollout {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(UnsavedBytes, NewOnesWaitUntilThoseBeforeThemAreSaved) {
  UnsavedBytes unsaved;
  unsaved.count(id("a"), std::nullopt);
  unsaved.count(id("b"), std::nullopt);
  EXPECT_EQ(unsaved.next(), id("a"));
  EXPECT_THAT(unsaved.take(id("a")), IsEmpty());
  unsaved.count(id("a"), std::nullopt);
  unsaved.assert_invariants();
  EXPECT_EQ(unsaved.next(), id("b"));
  EXPECT_THAT(unsaved.take(id("b")), IsEmpty());
  EXPECT_EQ(unsaved.next(), id("a"));
}

TEST(UnsavedBytes, NameEachMembershipOnce) {
  UnsavedBytes unsaved;
  unsaved.count(id("a"), hash(1));
  unsaved.count(id("a"), hash(2));
  unsaved.count(id("a"), hash(1));
  EXPECT_THAT(unsaved.take(id("a")), ElementsAre(hash(1), hash(2)));
  EXPECT_EQ(unsaved.size(), 0U);
}

TEST(UnsavedBytes, ASettledMembershipIsNotSavedAgainThoughTheDeviceIs) {
  UnsavedBytes unsaved;
  unsaved.count(id("a"), hash(1));
  unsaved.settle(id("a"), hash(1));
  EXPECT_EQ(unsaved.size(), 1U);
  EXPECT_THAT(unsaved.take(id("a")), IsEmpty());
}

TEST(UnsavedBytes, AForgottenDeviceHasNone) {
  UnsavedBytes unsaved;
  unsaved.count(id("a"), hash(1));
  unsaved.forget(id("a"));
  EXPECT_EQ(unsaved.next(), std::nullopt);
}

}  // namespace
}  // namespace instar::rollout
