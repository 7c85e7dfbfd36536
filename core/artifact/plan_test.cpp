#include "core/artifact/plan.hpp"

#include <gtest/gtest.h>

#include "core/trust/digest.hpp"

namespace instar::artifact {
namespace {

const ArtifactId kBase(trust::digest(as_bytes("base")));

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

TEST(Plan, TakesDeltasOfKnownFormatsOnly) {
  std::vector<PackOffer> offers;
  for (std::uint8_t format = 1; format <= 5; ++format) {
    offers.push_back(offer(PackKind::delta, 1, 10));
    offers.back().format = format;
  }
  EXPECT_EQ(order(offers, {.artifacts = {kBase}, .delta_decoder = true}), (std::vector<std::size_t>{0, 1, 2, 3}));
}

TEST(Plan, DropsOtherFormatsAndKinds) {
  PackOffer later = offer(PackKind::full, 1, 1);
  later.format = 2;
  PackOffer odd = offer(PackKind::full, 1, 1);
  odd.kind = static_cast<PackKind>(9);
  EXPECT_TRUE(usable_packs({later, odd}, {}).empty());
}

TEST(Plan, DropsPacksThatNeedTooMuchMemory) {
  PackOffer big = offer(PackKind::full, 1, 1);
  big.memory_bytes = 2000;
  EXPECT_EQ(order({big}, {.artifacts = {}, .memory_bytes = 1999}), (std::vector<std::size_t>{}));
  EXPECT_EQ(order({big}, {.artifacts = {}, .memory_bytes = 2000}), (std::vector<std::size_t>{0}));
  EXPECT_EQ(order({big}, {}), (std::vector<std::size_t>{0}));
}

TEST(Plan, EqualCostsKeepFullFirst) {
  EXPECT_EQ(order({offer(PackKind::dedupe, 10, 100), offer(PackKind::full, 10, 100)}, {}),
            (std::vector<std::size_t>{1, 0}));
}

TEST(Plan, ADeltaWhoseBaseIsHeldGoesBeforeDedupe) {
  const std::vector<PackOffer> offers{offer(PackKind::dedupe, 5, 1200), offer(PackKind::full, 10, 1000),
                                      offer(PackKind::delta, 20, 30)};
  const Holdings holdings{.artifacts = {kBase}, .delta_decoder = true};
  EXPECT_EQ(order(offers, holdings), (std::vector<std::size_t>{2, 0, 1}));
  EXPECT_EQ(usable_packs(offers, holdings)[0].bytes_max, 50U);
}

TEST(Plan, ADeltaIsComparedWithFullByItsBytes) {
  const Holdings holdings{.artifacts = {kBase}, .delta_decoder = true};
  EXPECT_EQ(order({offer(PackKind::full, 10, 30), offer(PackKind::delta, 20, 30)}, holdings),
            (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(order({offer(PackKind::full, 10, 41), offer(PackKind::delta, 20, 30)}, holdings),
            (std::vector<std::size_t>{1, 0}));
  EXPECT_EQ(order({offer(PackKind::delta, 20, 30), offer(PackKind::full, 20, 30)}, holdings),
            (std::vector<std::size_t>{1, 0}));
}

TEST(Plan, DedupeStaysBehindADeltaThatCostsMoreThanFull) {
  const std::vector<PackOffer> offers{offer(PackKind::dedupe, 1, 100), offer(PackKind::delta, 5, 5),
                                      offer(PackKind::full, 4, 4)};
  EXPECT_EQ(order(offers, {.artifacts = {kBase}, .delta_decoder = true}), (std::vector<std::size_t>{2, 1, 0}));
}

TEST(Plan, OfSeveralDeltasTheSmallestIsChosen) {
  PackOffer other = offer(PackKind::delta, 1, 10);
  other.base = ArtifactId(trust::digest(as_bytes("another base")));
  const std::vector<PackOffer> offers{offer(PackKind::delta, 1, 90), other, offer(PackKind::delta, 1, 40)};
  EXPECT_EQ(order(offers, {.artifacts = {kBase}, .delta_decoder = true}), (std::vector<std::size_t>{2, 0}));
  EXPECT_EQ(order(offers, {.artifacts = {other.base, kBase}, .delta_decoder = true}),
            (std::vector<std::size_t>{1, 2, 0}));
}

TEST(Plan, ADeltaThatNeedsTooMuchMemoryIsDropped) {
  PackOffer hungry = offer(PackKind::delta, 1, 10);
  hungry.memory_bytes = 2000;
  EXPECT_EQ(order({hungry, offer(PackKind::full, 1, 90)},
                  {.artifacts = {kBase}, .memory_bytes = 1999, .delta_decoder = true}),
            (std::vector<std::size_t>{1}));
}

TEST(Plan, RepairsWithThePackThatCostsLeast) {
  PackOffer full = offer(PackKind::full, 1'000, 1'000'000);
  full.body_count = 10;
  PackOffer dedupe = offer(PackKind::dedupe, 3'000, 1'200'000);
  dedupe.body_count = 80;
  const std::vector<PackOffer> offers{offer(PackKind::delta, 1, 10), full, dedupe};
  const Holdings holdings{.artifacts = {kBase}, .delta_decoder = true};
  // One small file: a tenth of full, an eightieth of dedupe.
  const auto one = repair_packs(offers, holdings, 2'000'000, {1, 2'000});
  ASSERT_EQ(one.size(), 2U);
  EXPECT_EQ(one[0].offer, 2U);
  EXPECT_EQ(one[0].bytes_min, 3'000U + 1'200'000U / 80 + 1'200'000U / 1'000);
  EXPECT_EQ(one[0].bytes_max, 1'203'000U);
  EXPECT_EQ(one[1].bytes_min, 1'000U + 100'000U + 1'000U);
  // Everything: the one that compresses best.
  const auto all = repair_packs(offers, holdings, 2'000'000, {80, 2'000'000});
  EXPECT_EQ(all[0].offer, 1U);
  EXPECT_EQ(all[0].bytes_min, 1'001'000U);
}

TEST(Plan, RepairsWithUsablePacksOnly) {
  PackOffer hungry = offer(PackKind::full, 1, 90);
  hungry.memory_bytes = 2000;
  EXPECT_TRUE(repair_packs({hungry, offer(PackKind::delta, 1, 10)},
                           {.artifacts = {kBase}, .memory_bytes = 1999, .delta_decoder = true}, 1000, {1, 10})
                  .empty());
}

}  // namespace
}  // namespace instar::artifact
