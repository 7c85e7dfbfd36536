#include "core/artifact/plan.hpp"

#include <gtest/gtest.h>

#include "core/trust/digest.hpp"

namespace instar::artifact {
namespace {

const Hash256 kBase = trust::digest(as_bytes("base"));

PackOffer offer(PackKind kind, std::uint64_t head_bytes, std::uint64_t body_bytes) {
  PackOffer offer;
  offer.kind = kind;
  offer.head_bytes = head_bytes;
  offer.body_bytes = body_bytes;
  if (kind == PackKind::delta) offer.base = kBase;
  return offer;
}

std::vector<std::size_t> order(const std::vector<PackOffer>& offers, const Holdings& holdings) {
  std::vector<std::size_t> result;
  for (const Candidate& candidate : usable_packs(offers, holdings)) result.push_back(candidate.offer);
  return result;
}

TEST(Plan, AnEmptyDeviceTakesTheCheapestExactOne) {
  const std::vector<PackOffer> offers{offer(PackKind::dedupe, 10, 1200), offer(PackKind::full, 10, 1000)};
  EXPECT_EQ(order(offers, {}), (std::vector<std::size_t>{1, 0}));
  EXPECT_EQ(usable_packs(offers, {})[1].bytes_min, 1210U);
}

TEST(Plan, ADeviceThatHoldsATreeTriesDedupeFirst) {
  const std::vector<PackOffer> offers{offer(PackKind::full, 10, 1000), offer(PackKind::dedupe, 10, 1200)};
  const Holdings holdings{.artifacts = {kBase}};
  EXPECT_EQ(order(offers, holdings), (std::vector<std::size_t>{1, 0}));
  const auto candidates = usable_packs(offers, holdings);
  EXPECT_EQ(candidates[0].bytes_min, 10U);
  EXPECT_EQ(candidates[0].bytes_max, 1210U);
  EXPECT_EQ(candidates[1].bytes_min, 1010U);
}

TEST(Plan, ADedupeHeadThatCostsMoreThanAllIsNotTried) {
  EXPECT_EQ(order({offer(PackKind::full, 10, 50), offer(PackKind::dedupe, 100, 60)}, {.artifacts = {kBase}}),
            (std::vector<std::size_t>{0, 1}));
}

TEST(Plan, DropsDeltasWithoutDecoderOrBase) {
  const std::vector<PackOffer> offers{offer(PackKind::full, 10, 1000), offer(PackKind::delta, 1, 10)};
  EXPECT_EQ(order(offers, {.artifacts = {kBase}}), (std::vector<std::size_t>{0}));
  EXPECT_EQ(order(offers, {.artifacts = {}, .delta_decoder = true}), (std::vector<std::size_t>{0}));
  EXPECT_EQ(order(offers, {.artifacts = {kBase}, .delta_decoder = true}), (std::vector<std::size_t>{1, 0}));
}

TEST(Plan, DropsOtherFormatsAndKinds) {
  PackOffer later = offer(PackKind::full, 1, 1);
  later.format = 2;
  PackOffer odd = offer(PackKind::full, 1, 1);
  odd.kind = static_cast<PackKind>(9);
  EXPECT_TRUE(usable_packs({later, odd}, {}).empty());
}

TEST(Plan, DropsWhatNeedsTooMuchMemory) {
  PackOffer big = offer(PackKind::full, 1, 1);
  big.memory_bytes = 2000;
  EXPECT_EQ(order({big}, {.artifacts = {}, .memory_bytes = 1999}), (std::vector<std::size_t>{}));
  EXPECT_EQ(order({big}, {.artifacts = {}, .memory_bytes = 2000}), (std::vector<std::size_t>{0}));
  EXPECT_EQ(order({big}, {}), (std::vector<std::size_t>{0}));
}

TEST(Plan, EqualCostsKeepFullFirst) {
  EXPECT_EQ(order({offer(PackKind::dedupe, 10, 100), offer(PackKind::full, 10, 100)}, {}), (std::vector<std::size_t>{1, 0}));
}

}  // namespace
}  // namespace instar::artifact
