#include "core/revision/pack_choice.hpp"

#include <gtest/gtest.h>

#include "core/revision/testing/machine_fixture.hpp"
#include "core/revision/testing/outbox_fixture.hpp"

namespace instar::revision {
namespace {

// A device that runs r1; r2 has a full pack of 93,000 bytes and more.
class PackChoiceTest : public testing::Test {
 protected:
  [[nodiscard]] wire::Artifact& artifact() { return two.artifacts.front(); }
  [[nodiscard]] std::vector<PackChoice> choices() const {
    const auto chosen = choose_packs(two, holdings_of(box.revisions, 64 * 1024 * 1024));
    EXPECT_TRUE(chosen.has_value());
    return chosen.value_or(std::vector<PackChoice>());
  }
  OutboxFixture box{OutboxFixture::running(1, OutboxFixture::release(1))};
  wire::Manifest two = OutboxFixture::release(2);
};

TEST_F(PackChoiceTest, TakesTheFullPackWhenThereIsNoOther) {
  const auto chosen = choices();
  ASSERT_EQ(chosen.size(), 1U);
  EXPECT_EQ(chosen[0].artifact, artifact().id);
  EXPECT_EQ(chosen[0].pack, artifact().packs.front().id);
}

TEST_F(PackChoiceTest, TakesADeltaFromWhatTheDeviceHas) {
  const auto delta = add_delta(artifact(), hash_of("artifact r1"), 100, 900).id;
  EXPECT_EQ(choices().at(0).pack, delta);
  artifact().packs.back().base = hash_of("artifact r0");
  EXPECT_EQ(choices().at(0).pack, artifact().packs.front().id) << "it has no such base";
}

TEST_F(PackChoiceTest, RefusesAReleaseThatHasNoPackForThisDevice) {
  artifact().packs.front().format = 99;
  const auto chosen = choose_packs(two, holdings_of(box.revisions, 64 * 1024 * 1024));
  ASSERT_FALSE(chosen.has_value());
  EXPECT_EQ(chosen.error().code, Code::unsupported);
}

TEST_F(PackChoiceTest, HoldsTheLeastThatAReleaseCostsAgainstItsBudget) {
  const auto least = artifact().packs.front().head_bytes + artifact().packs.front().body_bytes;
  EXPECT_TRUE(check_byte_budget(two, choices()).has_value()) << "there is none";
  two.policy.device_bytes_max = least;
  EXPECT_TRUE(check_byte_budget(two, choices()).has_value());
  two.policy.device_bytes_max = least - 1;
  const auto fits = check_byte_budget(two, choices());
  ASSERT_FALSE(fits.has_value());
  EXPECT_EQ(fits.error().code, Code::refused);
}

TEST_F(PackChoiceTest, ADedupePackCostsAtLeastItsHead) {
  two.artifacts = {artifact_of("r2", {1'000}, {40'000}, artifact::PackKind::dedupe)};
  EXPECT_EQ(likely_bytes(artifact().packs.back()), 1'000U);
  two.policy.device_bytes_max = 1'000;
  EXPECT_TRUE(check_byte_budget(two, {{artifact().id, artifact().packs.back().id}}).has_value());
}

TEST_F(PackChoiceTest, RepairsADeltaWithAnyOtherPack) {
  add_delta(artifact(), hash_of("artifact r1"), 100, 900);
  const auto repairs = choose_repair(artifact(), {}, holdings_of(box.revisions, 64 * 1024 * 1024));
  ASSERT_EQ(repairs.size(), 1U);
  EXPECT_EQ(repairs[0].offer, 0U) << "the full one";
}

TEST_F(PackChoiceTest, NamesTheKindOfTheLargestArtifact) {
  EXPECT_FALSE(kind_of_largest(wire::Manifest(), {}).has_value());
  two.artifacts.push_back(artifact_of("small", {10}, {20}));
  const auto delta = add_delta(two.artifacts.front(), hash_of("artifact r1"), 100, 900).id;
  const std::vector<PackId> packs = {delta, two.artifacts.back().packs.front().id};
  EXPECT_EQ(kind_of_largest(two, packs), artifact::PackKind::delta);
}

TEST_F(PackChoiceTest, KnowsWhetherThePreviousRevisionIsNeeded) {
  const auto delta = add_delta(artifact(), hash_of("artifact r1"), 100, 900).id;
  const std::vector<PackId> packs = {delta};
  EXPECT_FALSE(needs_previous(two, packs, box.revisions)) << "r1 is the current one";
  const auto three = OutboxFixture::release(3);
  box.revisions.take_candidate(OutboxFixture::hash_of(three), OutboxFixture::envelope_of(three), three);
  box.revisions.commit();
  EXPECT_TRUE(needs_previous(two, packs, box.revisions));
}

}  // namespace
}  // namespace instar::revision
