#include "core/rollout/rollouts/sequences.hpp"

#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/rollout/testing/messages.hpp"

namespace instar::rollout {
namespace {

constexpr auto kSequenceStep = limits::kSequenceStepMax;

class SequencesTest : public testing::Test {
 protected:
  ManifestId add(std::uint64_t sequence, std::vector<GroupPath> groups) {
    RolloutRecord record;
    record.product = "gateway-2";
    record.sequence = sequence;
    record.groups = std::move(groups);
    const auto id = hash(++added);
    sequences.add(id, record);
    return id;
  }
  [[nodiscard]] Code check(std::uint64_t sequence, std::vector<GroupPath> groups) const {
    const auto status = sequences.check(manifest(sequence, std::move(groups)), [&] { return claims; });
    return status.has_value() ? Code::ok : status.error().code;
  }
  [[nodiscard]] std::uint64_t next(std::vector<GroupPath> groups) const {
    return sequences.next("gateway-2", groups, claims).sequence;
  }

  Sequences sequences;
  std::vector<SequenceClaim> claims;
  std::uint64_t added = 0;
  const GroupPath plant = group("plant-7");
  const GroupPath line_a = group("plant-7/line-a");
  const GroupPath line_b = group("plant-7/line-b");
  const GroupPath other = group("plant-9");
};

TEST_F(SequencesTest, RiseInAGroupAndInThoseBelowIt) {
  add(10, {plant});
  EXPECT_EQ(sequences.highest("gateway-2", plant), 10U);
  EXPECT_EQ(sequences.highest("gateway-2", line_a), 10U);
  EXPECT_EQ(sequences.highest("gateway-2", other), 0U);
  EXPECT_EQ(sequences.highest("sensor", plant), 0U);
  EXPECT_EQ(check(10, {plant}), Code::stale);
  EXPECT_EQ(check(10, {line_a}), Code::stale);
  EXPECT_EQ(check(10, {other, line_a}), Code::stale) << "of each group";
  EXPECT_EQ(check(11, {plant}), Code::ok);
  EXPECT_EQ(check(1, {other}), Code::ok);
}

TEST_F(SequencesTest, AJumpEndsAtTheBound) {
  EXPECT_EQ(check(kSequenceStep, {plant}), Code::ok) << "the first release counts from 0";
  EXPECT_EQ(check(kSequenceStep + 1, {plant}), Code::refused);
  add(10, {plant});
  EXPECT_EQ(check(10 + kSequenceStep, {plant}), Code::ok);
  EXPECT_EQ(check(10 + kSequenceStep + 1, {plant}), Code::refused);
  EXPECT_EQ(check(~std::uint64_t{0}, {plant}), Code::refused);
  EXPECT_EQ(check(10 + kSequenceStep, {plant, other}), Code::refused) << "of each group";
}

TEST_F(SequencesTest, APartUsesUpItsOwnNumbersAlone) {
  claims = {{{line_a}, 10, 3}, {{line_b}, 10, 5}, {{other}, 10, 5}};
  add(10, {plant, other});
  // As far as a stolen key of line-a can go, again and again.
  for (int i = 1; i <= 5; ++i) add(10 + static_cast<std::uint64_t>(i) * kSequenceStep, {line_a});
  EXPECT_EQ(next({plant}), 11U) << "the five devices of line-b take it";
  EXPECT_EQ(check(11, {plant}), Code::ok);
  EXPECT_EQ(next({other}), 11U);
  const auto whole = sequences.next("gateway-2", {plant}, claims);
  EXPECT_EQ(whole.devices, 8U);
  EXPECT_EQ(whole.takers, 5U);
}

TEST_F(SequencesTest, AKeyThatIsGoneHasUsedUpNothing) {
  add(10, {plant});
  const auto stolen = add(kSequenceStep, {plant});
  EXPECT_EQ(check(11, {plant}), Code::stale);
  sequences.set_in_force(stolen, false);
  EXPECT_EQ(check(11, {plant}), Code::ok);
  EXPECT_EQ(next({plant}), 11U);
  sequences.remove(stolen);
  EXPECT_EQ(sequences.size(), 1U);
}

TEST_F(SequencesTest, TheNextIsAboveWhatDevicesHaveObeyed) {
  EXPECT_EQ(next({plant}), 1U);
  claims = {{{line_a}, 3, 2}, {{other}, 7, 1}};
  EXPECT_EQ(next({plant}), 4U) << "the store knows nothing of it";
  EXPECT_EQ(next({plant, other}), 8U);
  add(20, {line_a});
  EXPECT_EQ(next({plant}), 21U) << "a part has a newer release already";
  claims = {{{plant}, 3'000'000, 2}};
  EXPECT_EQ(next({plant}), 3'000'001U);
  EXPECT_EQ(check(3'000'001, {plant}), Code::ok) << "what the devices have counts where the store was lost";
  EXPECT_EQ(check(3'000'000 + kSequenceStep + 1, {plant}), Code::refused);
}

TEST_F(SequencesTest, ADeviceThatClaimsAnyNumberLeadsNobodyAstray) {
  claims = {{{plant}, 3, 10}, {{plant}, ~std::uint64_t{0}, 1}, {{plant}, 3 + kSequenceStep, 1}};
  EXPECT_EQ(next({plant}), 4U);
  EXPECT_EQ(sequences.next("gateway-2", {plant}, claims).takers, 10U);
  claims = {{{plant}, 3, 10}, {{plant}, kSequenceStep, 1}};
  EXPECT_EQ(next({plant}), kSequenceStep + 1) << "a number that all take";
}

TEST_F(SequencesTest, AGroupWithoutKnownDevicesCountsToo) {
  add(5, {line_a});
  EXPECT_EQ(next({plant}), 6U) << "its devices may come later";
}

}  // namespace
}  // namespace instar::rollout
