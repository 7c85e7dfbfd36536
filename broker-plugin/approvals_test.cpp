// Signed approvals, as the service takes them by $CONTROL and hands them on in gates.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/wire/approval.hpp"

namespace instar::broker {
namespace {

class Approvals : public testing::Test {
 protected:
  // One device in the first wave, which has committed and asks for a signed approval.
  void SetUp() override {
    ASSERT_TRUE(fixture_.start().has_value());
    ASSERT_EQ(fixture_.hello(device_), Verdict::consume);
    fixture_.upload(pack_);
    auto manifest = make_manifest(pack_, 1);
    wire::Wave first, rest;
    first.devices = {device_.id.str()};
    first.approval = true;
    rest.share_bp = 10'000;
    manifest.policy.waves = {first, rest};
    manifest.policy.approval_signed = true;
    ASSERT_EQ(fixture_.publish(manifest), Verdict::consume);
    fixture_.settle();
    manifest_ = manifest;
    rollout_ = rollout_of(manifest);
    ASSERT_EQ(fixture_.report(device_, rollout_, wire::Step::committed), Verdict::consume);
    fixture_.settle();
    const auto data = fixture_.command({{"command", "getRollout"}, {"rollout", rollout_.hex()}})["data"];
    ASSERT_EQ(data["waits_for"], "an operator's signed approval");
    ASSERT_EQ(data["approval_signed"], true);
  }
  [[nodiscard]] wire::Approval yes() const { return {"gateway-2", rollout_, 0, {1'760'000'100'000}}; }
  [[nodiscard]] static Bytes sealed(const wire::Approval& approval, int key = kReleaseKey) {
    return trust::seal(trust::Kind::approval, wire::encode(approval), test_key(key));
  }
  // The error of the answer; empty: it was taken.
  std::string approve(const Bytes& envelope, int wave = 0) {
    nlohmann::json command{{"command", "approveRollout"}, {"rollout", rollout_.hex()}};
    if (!envelope.empty()) command["approval"] = to_hex(envelope);
    if (wave > 0) command["wave"] = wave;
    return fixture_.command(command).value("error", "");
  }
  [[nodiscard]] std::uint32_t wave() const { return fixture_.gate("plant-7")->wave; }

  ServiceFixture fixture_;
  PackFixture pack_ = make_pack(1);
  FakeDevice device_{"gw-01"};
  wire::Manifest manifest_;
  ManifestId rollout_;
};

TEST_F(Approvals, WithoutOneOrWithOneThatDoesNotCountNothingOpens) {
  EXPECT_NE(approve({}).find("asks for a signed approval"), std::string::npos);
  EXPECT_NE(approve(sealed(yes(), kStrangerKey)).find("untrusted_key"), std::string::npos);
  EXPECT_NE(approve(sealed(yes(), kGateKey)).find("untrusted_key"), std::string::npos);
  auto other = yes();
  other.manifest.bytes[0] ^= 1;
  EXPECT_NE(approve(sealed(other)).find("is of rollout"), std::string::npos);
  other = yes();
  other.product = "another";
  EXPECT_NE(approve(sealed(other)).find("is of product another"), std::string::npos);
  auto changed = sealed(yes());
  changed.back() ^= 1;
  EXPECT_NE(approve(changed).find("bad_signature"), std::string::npos);
  EXPECT_NE(approve(sealed(yes()), 2).find("the approval is of wave 1"), std::string::npos);
  other = yes();
  other.wave = 1;
  EXPECT_NE(approve(sealed(other)).find("not open yet"), std::string::npos);
  const auto response =
      fixture_.command({{"command", "approveRollout"}, {"rollout", rollout_.hex()}, {"approval", "no hex"}});
  EXPECT_NE(response.value("error", "").find("in hex digits"), std::string::npos);
  EXPECT_EQ(wave(), 0U);
  EXPECT_TRUE(fixture_.gate("plant-7")->approval.empty());
}

TEST_F(Approvals, AGateThatNeedsOneCarriesItAlsoAfterALoss) {
  const auto envelope = sealed(yes(), kPlant7Key);
  EXPECT_EQ(approve(envelope), "");
  EXPECT_EQ(wave(), 1U);
  EXPECT_EQ(fixture_.gate("plant-7")->approval, envelope);
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(fixture_.gate("plant-7")->approval, envelope);
  const auto trust = trust::TrustStore::from_pinned(fixture_.options().pinned_root).value();
  EXPECT_TRUE(wire::check_approval(manifest_, *fixture_.gate("plant-7"), trust).has_value());
}

TEST_F(Approvals, OneByKeysThatAreGoneIsToldAndReplaced) {
  EXPECT_EQ(approve(sealed(yes(), kPlant7Key)), "");
  auto next = test_root(2, trust::parse_envelope(fixture_.options().pinned_root)->payload_hash);
  std::erase_if(next.keys, [](const auto& key) { return key.label == "plant 7"; });
  next.roles[1].key_ids.pop_back();
  ASSERT_EQ(fixture_.send("op-1", fixture_.topics().root(), seal_root(next)), Verdict::consume);
  fixture_.settle();
  EXPECT_TRUE(fixture_.broker().logged("its signed approval does not count any more"));
  EXPECT_EQ(approve(sealed(yes())), "");
  EXPECT_EQ(fixture_.gate("plant-7")->approval, sealed(yes()));
}

}  // namespace
}  // namespace instar::broker
