#include "core/rollout/rollouts/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/rollout/testing/messages.hpp"

namespace instar::rollout {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RolloutRecord record(std::uint64_t sequence, std::uint64_t order, std::vector<GroupPath> groups = {group("plant-7")}) {
  RolloutRecord out;
  out.product = "gateway-2";
  out.sequence = sequence;
  out.order = order;
  out.groups = std::move(groups);
  return out;
}

TEST(Catalog, OfTwoForOneGroupTheLaterIsCurrentWhateverTheyAreLoadedIn) {
  Catalog catalog;
  catalog.add(hash(2), record(2, 2));
  catalog.add(hash(1), record(1, 1, {group("plant-7"), group("plant-8")}));
  catalog.assert_invariants();
  EXPECT_TRUE(catalog.is_current_for({group("plant-7"), "gateway-2"}, hash(2)));
  EXPECT_TRUE(catalog.is_current_for({group("plant-8"), "gateway-2"}, hash(1)));
  EXPECT_FALSE(catalog.is_current_for({group("plant-9"), "gateway-2"}, hash(1)));
  EXPECT_EQ(catalog.oldest_replaced(), std::nullopt);
  EXPECT_EQ(catalog.order_last(), 2U);
}

TEST(Catalog, TheOldestReplacedIsTheFirstToGo) {
  Catalog catalog;
  for (std::uint64_t i = 1; i <= 3; ++i) catalog.add(hash(i), record(i, i));
  EXPECT_EQ(catalog.oldest_replaced(), hash(1));
  catalog.remove(hash(1), record(1, 1));
  catalog.assert_invariants();
  EXPECT_EQ(catalog.oldest_replaced(), hash(2));
  EXPECT_EQ(catalog.by_prefix(hash(1).prefix64()), std::nullopt);
  EXPECT_EQ(catalog.by_prefix(hash(2).prefix64()), hash(2));
}

TEST(Catalog, AnotherProductHasAnotherAudience) {
  Catalog catalog;
  catalog.add(hash(1), record(1, 1));
  auto other = record(2, 2);
  other.product = "press";
  catalog.add(hash(2), other);
  catalog.assert_invariants();
  EXPECT_TRUE(catalog.is_current_for({group("plant-7"), "gateway-2"}, hash(1)));
  EXPECT_TRUE(catalog.is_current_for({group("plant-7"), "press"}, hash(2)));
}

TEST(Catalog, TheNewestGivesWayOnlyWhenItHasEndedAndOneBeforeItStands) {
  Catalog catalog;
  for (std::uint64_t i = 1; i <= 3; ++i) catalog.add(hash(i), record(i, i));
  std::map<ManifestId, OfferState> states{
      {hash(1), OfferState::stands}, {hash(2), OfferState::lapsed}, {hash(3), OfferState::lapsed}};
  const Audience audience{group("plant-7"), "gateway-2"};
  const auto choose = [&] { return catalog.choose([&](const ManifestId& id) { return states.at(id); }); };
  EXPECT_THAT(choose(), IsEmpty()) << "it has not ended";
  states[hash(3)] = OfferState::ended;
  EXPECT_THAT(choose(), ElementsAre(audience));
  EXPECT_TRUE(catalog.is_current_for(audience, hash(1)));
  states[hash(1)] = OfferState::lapsed;
  EXPECT_THAT(choose(), IsEmpty()) << "one that is current stays so when it lapses";
  states[hash(1)] = OfferState::ended;
  EXPECT_THAT(choose(), ElementsAre(audience));
  EXPECT_TRUE(catalog.is_current_for(audience, hash(3)));
  catalog.assert_invariants();
}

TEST(Catalog, AProductsRolloutsComeNewestFirst) {
  Catalog catalog;
  for (std::uint64_t i = 1; i <= 3; ++i) catalog.add(hash(i), record(i, i));
  EXPECT_THAT(catalog.of_product("gateway-2"), ElementsAre(hash(3), hash(2), hash(1)));
  EXPECT_THAT(catalog.of_product("sensor"), IsEmpty());
}

}  // namespace
}  // namespace instar::rollout
