#include "core/wire/approval.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/wire/placement.hpp"
#include "core/wire/testing/examples.hpp"

namespace instar::wire {
namespace {

using testing::HasSubstr;
using trust::Kind;

const ManifestId kRollout = examples::hash("manifest");

Approval yes(std::uint32_t wave) {
  return {"gateway-2", kRollout, wave, {1'760'000'000'000}};
}

Bytes sealed(const Approval& approval, const trust::SecretKey& key = examples::key(examples::kReleaseKey)) {
  return seal(Kind::approval, encode(approval), key);
}

trust::TrustStore store() {
  return trust::TrustStore::from_pinned(
             seal(Kind::root, encode_root(examples::root()), examples::key(examples::kRootKey)))
      .value();
}

TEST(ApprovalMessage, GoesBothWays) {
  const auto back = decode_approval(encode(yes(2))).value();
  EXPECT_EQ(back.product, "gateway-2");
  EXPECT_EQ(back.manifest, kRollout);
  EXPECT_EQ(back.wave, 2U);
  EXPECT_EQ(back.issued.value, 1'760'000'000'000);
  EXPECT_EQ(encode(back), encode(yes(2)));
}

TEST(ApprovalMessage, WhatIsOutOfBoundsIsRefused) {
  EXPECT_EQ(decode_approval(encode(yes(limits::kWavesMax))).error().code, Code::too_large);
  auto none = yes(0);
  none.manifest = {};
  EXPECT_EQ(decode_approval(encode(none)).error().code, Code::malformed);
  none = yes(0);
  none.product = "no name";
  EXPECT_THAT(decode_approval(encode(none)).error().message, HasSubstr("product"));
  EXPECT_EQ(decode_approval(encode(examples::gate())).error().code, Code::malformed);
  const Bytes good = encode(yes(0));
  EXPECT_FALSE(decode_approval(ByteView(good).first(good.size() / 2)).has_value());
}

TEST(ApprovalMessage, TheLargestOneFitsItsBound) {
  Approval longest{std::string(limits::kNameBytesMax, 'p'), kRollout, 31, {limits::kWallMsMax}};
  std::vector<trust::SecretKey> keys;
  for (std::size_t i = 0; i < limits::kSignaturesMax; ++i) keys.push_back(examples::key(static_cast<int>(100 + i)));
  EXPECT_LE(seal(Kind::approval, encode(longest), keys).size(), limits::kApprovalBytesMax);
}

// Waves of 1 %, 10 %, 50 % and all; the first and the third ask for approval.
class SignedApprovals : public testing::Test {
 protected:
  SignedApprovals() {
    manifest_.product = "gateway-2";
    manifest_.groups = {examples::group("plant-7"), examples::group("plant-9")};
    for (const auto share : std::initializer_list<std::uint16_t>{100, 1'000, 5'000, 10'000}) {
      Wave wave;
      wave.share_bp = share;
      manifest_.policy.waves.push_back(wave);
    }
    manifest_.policy.waves[0].approval = manifest_.policy.waves[2].approval = true;
    manifest_.policy.approval_signed = true;
    gate_.manifest = kRollout;
  }
  [[nodiscard]] std::string verdict(std::uint32_t wave, Bytes approval) {
    gate_.wave = wave;
    gate_.approval = std::move(approval);
    const auto status = check_approval(manifest_, gate_, store());
    return status.has_value() ? "ok" : status.error().message;
  }
  Manifest manifest_;
  Gate gate_;
};

TEST_F(SignedApprovals, AreNeededForWhatLiesBehindAWaveThatAsks) {
  EXPECT_EQ(signed_yes_needed(manifest_.policy, 0), std::nullopt);
  EXPECT_EQ(signed_yes_needed(manifest_.policy, 1), 0U);
  EXPECT_EQ(signed_yes_needed(manifest_.policy, 2), 0U);
  EXPECT_EQ(signed_yes_needed(manifest_.policy, 3), 2U);
  EXPECT_EQ(signed_yes_needed(manifest_.policy, 99), 2U);
  manifest_.policy.approval_signed = false;
  EXPECT_EQ(signed_yes_needed(manifest_.policy, 3), std::nullopt);
}

TEST_F(SignedApprovals, AGateHasToCarryOneThatCoversItsWave) {
  EXPECT_EQ(verdict(0, {}), "ok");
  EXPECT_EQ(verdict(1, {}), "the gate opens wave 2 without a signed approval");
  EXPECT_EQ(verdict(1, sealed(yes(0))), "ok");
  EXPECT_EQ(verdict(2, sealed(yes(0))), "ok");
  EXPECT_THAT(verdict(3, sealed(yes(0))), HasSubstr("it is of wave 1, that of wave 3 is needed"));
  EXPECT_EQ(verdict(3, sealed(yes(2))), "ok");
  EXPECT_EQ(verdict(1, sealed(yes(2))), "ok") << "it covers those before it";
}

TEST_F(SignedApprovals, AForgedOneOrAnothersDoesNotCount) {
  EXPECT_THAT(verdict(1, sealed(yes(0), examples::key(examples::kGateKey))), HasSubstr("may not sign this"));
  EXPECT_THAT(verdict(1, sealed(yes(0), examples::key(77))), HasSubstr("may not sign this"));
  EXPECT_THAT(verdict(1, sealed(yes(0), examples::key(examples::kPlantKey))), HasSubstr("does not reach group"));
  auto other = yes(0);
  other.manifest = examples::hash("another");
  EXPECT_THAT(verdict(1, sealed(other)), HasSubstr("is of rollout"));
  other = yes(0);
  other.product = "pump";
  EXPECT_THAT(verdict(1, sealed(other)), HasSubstr("is of product pump"));
  EXPECT_THAT(verdict(1, seal(Kind::gate, encode(yes(0)), examples::key(examples::kReleaseKey))),
              HasSubstr("without a signed approval that counts"));
  const Bytes good = sealed(yes(0));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_NE(verdict(1, bad), "ok") << bit;
  }
}

TEST_F(SignedApprovals, WhatStopsARolloutNeedsNone) {
  for (const auto state : {GateState::paused, GateState::aborted, GateState::reverted}) {
    gate_.state = state;
    EXPECT_EQ(verdict(3, {}), "ok");
  }
}

TEST_F(SignedApprovals, APolicyThatWantsThemHasAWaveThatAsks) {
  EXPECT_TRUE(check_waves(manifest_.policy).has_value());
  for (auto& wave : manifest_.policy.waves) wave.approval = false;
  EXPECT_THAT(check_waves(manifest_.policy).error().message, HasSubstr("no wave asks for approval"));
}

TEST_F(SignedApprovals, GatesAndManifestsSayItOnTheWire) {
  auto gate = examples::gate();
  EXPECT_TRUE(decode_gate(encode(gate)).value().approval.empty());
  gate.approval = sealed(yes(0));
  EXPECT_EQ(decode_gate(encode(gate)).value().approval, gate.approval);
  gate.approval = Bytes(limits::kApprovalBytesMax + 1);
  EXPECT_EQ(decode_gate(encode(gate)).error().code, Code::too_large);
  auto manifest = examples::manifest();
  EXPECT_FALSE(decode_manifest(encode_manifest(manifest)).value().policy.approval_signed);
  manifest.policy.approval_signed = true;
  EXPECT_TRUE(decode_manifest(encode_manifest(manifest)).value().policy.approval_signed);
}

}  // namespace
}  // namespace instar::wire
