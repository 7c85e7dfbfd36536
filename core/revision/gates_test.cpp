#include "core/revision/gates.hpp"

#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/revision/testing/machine_fixture.hpp"

namespace instar::revision {
namespace {

class GatesTest : public testing::Test {
 protected:
  [[nodiscard]] wire::Gate gate(std::uint64_t issue, wire::GateState state = wire::GateState::open) const {
    auto gate = device.gate_for(manifest, issue);
    gate.state = state;
    return gate;
  }
  Gates::Taken take(const wire::Gate& one) { return gates.take(one, nobody); }
  [[nodiscard]] bool admits() const { return gates.admits(hash, manifest, device.facts.device); }

  MachineFixture device;
  wire::Manifest manifest = device.release(2);
  ManifestId hash = MachineFixture::rollout_of(manifest);
  Gates gates{{}};
  Gates::Needed nobody = [](const ManifestId&) { return false; };
  trust::TrustStore trust = trust::TrustStore::from_pinned(device.pinned_root).value();
};

TEST_F(GatesTest, AnOlderOneIsIgnoredAlsoAfterARestart) {
  EXPECT_EQ(take(gate(5)), Gates::Taken::news);
  EXPECT_EQ(take(gate(5)), Gates::Taken::again);
  EXPECT_EQ(take(gate(4, wire::GateState::aborted)), Gates::Taken::older);
  EXPECT_FALSE(gates.is_ended(hash));
  Gates after(gates.marks());
  EXPECT_EQ(after.find(hash), nullptr) << "not received since";
  EXPECT_EQ(after.take(gate(4), nobody), Gates::Taken::older);
  EXPECT_EQ(after.issue(hash), 5U);
  EXPECT_EQ(after.take(gate(6), nobody), Gates::Taken::news);
}

TEST_F(GatesTest, OneThatBreaksItsManifestsPolicyIsKnownAndNotObeyed) {
  auto early = gate(1);
  manifest.issued = device.wall + std::int64_t{2} * 24 * 3'600 * 1'000;
  ASSERT_EQ(take(early), Gates::Taken::news);
  EXPECT_FALSE(gates.vet(hash, manifest, &trust).has_value()) << "it opened before the release was made";
  EXPECT_TRUE(gates.is_broken(hash));
  EXPECT_EQ(gates.find(hash), nullptr);
  EXPECT_FALSE(admits());
  EXPECT_EQ(gates.state_of(hash), wire::GateState::open);
  manifest.issued = WallMs{0};
  EXPECT_TRUE(gates.vet(hash, manifest, &trust).has_value());
  EXPECT_FALSE(gates.is_broken(hash));
  EXPECT_TRUE(admits());
  gates.assert_invariants();
}

TEST_F(GatesTest, AdmitsOnlyWhileOpenAndForTheSameSequence) {
  EXPECT_FALSE(admits()) << "none is known";
  ASSERT_EQ(take(gate(1)), Gates::Taken::news);
  EXPECT_TRUE(admits());
  ASSERT_EQ(take(gate(2, wire::GateState::paused)), Gates::Taken::news);
  EXPECT_FALSE(admits());
  ASSERT_EQ(take(gate(3)), Gates::Taken::news);
  manifest.sequence = 3;
  EXPECT_FALSE(admits());
}

TEST_F(GatesTest, ARolloutIsEndedByAnAbortOrARevert) {
  EXPECT_FALSE(gates.is_ended(hash));
  ASSERT_EQ(take(gate(1, wire::GateState::paused)), Gates::Taken::news);
  EXPECT_FALSE(gates.is_ended(hash));
  ASSERT_EQ(take(gate(2, wire::GateState::aborted)), Gates::Taken::news);
  EXPECT_TRUE(gates.is_ended(hash));
  ASSERT_EQ(take(gate(3, wire::GateState::reverted)), Gates::Taken::news);
  EXPECT_TRUE(gates.is_ended(hash));
}

TEST_F(GatesTest, TheOldestGoesWhenThereAreTooMany) {
  ASSERT_EQ(take(gate(1)), Gates::Taken::news);
  for (std::ptrdiff_t i = 0; i < limits::kGatesKeptMax; ++i) {
    auto other = gate(1);
    other.manifest = hash_of("manifest " + std::to_string(i));
    ASSERT_EQ(take(other), Gates::Taken::news);
    gates.assert_invariants();
  }
  EXPECT_EQ(std::ssize(gates.marks()), limits::kGatesKeptMax);
  EXPECT_EQ(gates.find(hash), nullptr);
}

TEST_F(GatesTest, TheMarkOfAReleaseThatIsOnOfferStays) {
  const Gates::Needed is_offered = [&](const ManifestId& manifest_id) { return manifest_id == hash; };
  ASSERT_EQ(gates.take(gate(5, wire::GateState::paused), is_offered), Gates::Taken::news);
  for (std::ptrdiff_t i = 0; i < 3 * limits::kGatesKeptMax; ++i) {
    auto other = gate(1);
    other.manifest = hash_of("manifest " + std::to_string(i));
    ASSERT_EQ(gates.take(other, is_offered), Gates::Taken::news);
    gates.assert_invariants();
  }
  EXPECT_EQ(gates.take(gate(4), is_offered), Gates::Taken::older) << "a pause cannot be replayed away";
  EXPECT_FALSE(admits());
}

}  // namespace
}  // namespace instar::revision
