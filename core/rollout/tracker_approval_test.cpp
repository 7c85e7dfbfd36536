// Approvals that must be signed: the tracker takes none without one, hands the last one on in its gates, and takes
// another in its place. Whether the signature counts was checked before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/rollout/testing/tracker_fixture.hpp"

namespace instar::rollout {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SignedApprovalTest : public testing::Test {
 protected:
  // Waves of "a", of "a" and "b", and of all; the first two ask for approval.
  SignedApprovalTest() {
    for (const auto* name : {"a", "b", "c"}) EXPECT_TRUE(fixture.hello(hello(name)).has_value());
    auto release = manifest(1);
    wire::Wave first, second, rest;
    first.devices = {"a"};
    second.devices = {"b"};
    first.approval = second.approval = true;
    rest.share_bp = 10'000;
    release.policy.waves = {first, second, rest};
    release.policy.approval_signed = true;
    EXPECT_TRUE(fixture.take(release).has_value());
  }
  [[nodiscard]] std::uint32_t wave() const { return fixture.rollout(1).record.wave; }
  // What the gate of the last call carries.
  [[nodiscard]] std::string sent() const {
    const auto gates = fixture.all<SendGate>();
    EXPECT_THAT(gates, SizeIs(1));
    return gates.empty() ? "" : std::string(as_text(gates.front().gate.approval));
  }

  TrackerFixture fixture;
};

TEST_F(SignedApprovalTest, NoWaveOpensByThePlainWord) {
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  EXPECT_EQ(fixture.waits(1), "an operator's signed approval");
  const auto refused = fixture.approve(1);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_THAT(refused.error().message, HasSubstr("asks for a signed approval"));
  EXPECT_THAT(refused.error().message, HasSubstr("--key FILE"));
  EXPECT_EQ(wave(), 0U);
  ASSERT_TRUE(fixture.approve(1, 0, to_bytes("yes 1")).has_value());
  EXPECT_EQ(wave(), 1U);
}

TEST_F(SignedApprovalTest, GatesCarryTheLastOneAlsoAfterARestart) {
  EXPECT_TRUE(fixture.rollout(1).record.approval.empty());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.approve(1, 0, to_bytes("yes 1")).has_value());
  EXPECT_EQ(sent(), "yes 1");
  // Approved ahead of time: the gate has what the open wave needs.
  ASSERT_TRUE(fixture.approve(1, 1, to_bytes("yes 2")).has_value());
  EXPECT_THAT(fixture.all<SendGate>(), IsEmpty());
  fixture.restart();
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  EXPECT_EQ(wave(), 2U);
  EXPECT_EQ(sent(), "yes 2");
  ASSERT_TRUE(fixture.act(1, Action::pause).has_value());
  EXPECT_EQ(sent(), "yes 2");
}

TEST_F(SignedApprovalTest, AnotherOneForTheSameWaveTakesItsPlace) {
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.approve(1, 0, to_bytes("yes 1")).has_value());
  ASSERT_TRUE(fixture.approve(1, 0, to_bytes("yes 1")).has_value());
  EXPECT_THAT(fixture.effects, IsEmpty()) << "once more changes nothing";
  ASSERT_TRUE(fixture.approve(1, 0, to_bytes("by another key")).has_value());
  EXPECT_EQ(sent(), "by another key");
  EXPECT_EQ(wave(), 1U);
  ASSERT_TRUE(fixture.approve(1, 1, to_bytes("yes 2")).has_value());
  ASSERT_TRUE(fixture.approve(1, 0, to_bytes("of the first wave alone")).has_value());
  EXPECT_THAT(fixture.effects, IsEmpty()) << "it says less than the one that is there";
  EXPECT_EQ(as_text(fixture.rollout(1).record.approval), "yes 2");
  EXPECT_FALSE(fixture.approve(1, 0).has_value()) << "without a signature";
}

TEST_F(SignedApprovalTest, WhereNoSignatureIsAskedForGatesCarryNone) {
  auto release = manifest(2);
  release.policy.waves.resize(2);
  release.policy.waves[0].devices = {"a"};
  release.policy.waves[0].approval = true;
  release.policy.waves[1].share_bp = 10'000;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("a", 2, Step::committed).has_value());
  ASSERT_TRUE(fixture.approve(2, 0, to_bytes("yes")).has_value());
  EXPECT_EQ(sent(), "");
  EXPECT_TRUE(fixture.rollout(2).record.approval.empty());
}

}  // namespace
}  // namespace instar::rollout
