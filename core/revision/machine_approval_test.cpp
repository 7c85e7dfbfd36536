// A release whose policy asks for signed approvals: no gate opens its next wave without one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/revision/testing/runs_r1_fixture.hpp"
#include "core/wire/approval.hpp"

namespace instar::revision {
namespace {

using testing::HasSubstr;
using wire::Step;

class ApprovalTest : public RunsR1Fixture {
 protected:
  // Its first wave is another device, and asks for approval.
  [[nodiscard]] wire::Manifest release(std::uint64_t sequence = 2) {
    auto manifest = fixture.release(sequence);
    manifest.policy.waves = {wire::Wave{.devices = {"another"}, .approval = true}, wire::Wave{.share_bp = 10'000}};
    manifest.policy.approval_signed = true;
    return manifest;
  }
  [[nodiscard]] static Bytes yes(const wire::Manifest& manifest, const trust::SecretKey& key) {
    const wire::Approval approval{manifest.product, MachineFixture::rollout_of(manifest), 0, {1'700'000'000'000}};
    return trust::seal(trust::Kind::approval, wire::encode(approval), key);
  }
  void open_all(const wire::Manifest& manifest, std::uint64_t issue, Bytes approval) {
    auto message = fixture.gate_for(manifest, issue);
    message.wave = 1;
    message.wave_opened = {opened, opened};
    message.approval = std::move(approval);
    fixture.put_gate(message);
  }
  // Root 2: `approve` speaks for that role.
  [[nodiscard]] Bytes root_with(const trust::SecretKey& approve) {
    auto next = fixture.root;
    next.version = 2;
    next.previous = trust::parse_envelope(fixture.pinned_root)->payload_hash;
    next.keys.push_back({approve.public_key(), "", ""});
    next.roles.push_back({trust::RoleName::approve, 1, {approve.public_key().id()}});
    return trust::seal(trust::Kind::root, trust::encode_root(next), fixture.root_key);
  }
};

TEST_F(ApprovalTest, AGateWithoutOneThatCountsIsNotObeyed) {
  const auto two = release();
  offer(two);
  open_all(two, 1, {});
  fixture.run(5'000);
  EXPECT_THAT(last_reason(), HasSubstr("opens wave 2 without a signed approval: not obeyed"));
  EXPECT_EQ(fixture.applied.back().code, Code::refused);
  open_all(two, 2, yes(two, fixture.gate_key));
  fixture.run(5'000);
  EXPECT_THAT(last_reason(), HasSubstr("without a signed approval that counts"));
  open_all(two, 3, yes(two, key_of(99)));
  open_all(two, 4, yes(release(3), fixture.release_key));
  fixture.run(5'000);
  EXPECT_THAT(last_reason(), HasSubstr("is of rollout"));
  EXPECT_EQ(fixture.running_release(), "r1");
  open_all(two, 5, yes(two, fixture.release_key));
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(ApprovalTest, AnAttemptUnderWayPausesWhenTheNextGateLacksIt) {
  const auto two = release();
  fixture.serves = false;
  offer(two);
  open_all(two, 1, yes(two, fixture.release_key));
  fixture.run(2'000);
  ASSERT_EQ(fixture.phase(), "fetching");
  open_all(two, 2, {});
  fixture.serves = true;
  fixture.run(30'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  open_all(two, 3, yes(two, fixture.release_key));
  fixture.run(60'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(ApprovalTest, ARootDocumentThatNamesTheKeyLetsTheGateCount) {
  const auto two = release();
  const auto approver = key_of(42);
  offer(two);
  open_all(two, 1, yes(two, approver));
  fixture.run(5'000);
  EXPECT_THAT(last_reason(), HasSubstr("not obeyed"));
  fixture.put(fixture.topics.root(), root_with(approver));
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  // From now on the release keys do not approve.
  const auto three = release(3);
  offer(three);
  open_all(three, 1, yes(three, fixture.release_key));
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(ApprovalTest, ARevertOfWhatRunsNeedsNone) {
  auto two = release();
  two.policy.revert_allowed = true;
  offer(two);
  open_all(two, 1, yes(two, fixture.release_key));
  fixture.run(20'000);
  ASSERT_EQ(fixture.running_release(), "r2");
  auto message = fixture.gate_for(two, 2);
  message.wave = 1;
  message.wave_opened = {opened, opened};
  message.state = wire::GateState::reverted;
  fixture.put_gate(message);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
}

}  // namespace
}  // namespace instar::revision
