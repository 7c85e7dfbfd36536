#include "publisher/release/approval_seal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/trust/envelope.hpp"
#include "core/wire/approval.hpp"
#include "core/wire/testing/examples.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

class ApprovalSeal : public testing::Test {
 protected:
  ApprovalSeal() {
    manifest_.policy.waves = {wire::Wave{.share_bp = 100, .approval = true}, wire::Wave{.share_bp = 10'000}};
    manifest_.policy.approval_signed = true;
  }
  [[nodiscard]] Bytes sent() const {
    return trust::seal(trust::Kind::manifest, wire::encode_manifest(manifest_), key_);
  }

  wire::Manifest manifest_ = wire::examples::manifest();
  trust::SecretKey key_ = wire::examples::key(wire::examples::kReleaseKey);
};

TEST_F(ApprovalSeal, IsForTheManifestThatWasRead) {
  const auto release = read_manifest_as_sent(sent());
  ASSERT_TRUE(release) << release.error().message;
  const auto envelope = seal_approval(*release, 0, {&key_, 1}, {1'760'000'000'000});
  ASSERT_TRUE(envelope) << envelope.error().message;
  const auto root = wire::examples::root();
  const auto trust = trust::TrustStore::from_pinned(
      trust::seal(trust::Kind::root, trust::encode_root(root), wire::examples::key(wire::examples::kRootKey)));
  const auto opened =
      wire::open_approval(*trust, *envelope, release->hash, manifest_.product, release->manifest.groups);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->wave, 0U);
  EXPECT_EQ(opened->issued.value, 1'760'000'000'000);
}

TEST_F(ApprovalSeal, NothingIsSignedForAWaveThatDoesNotAsk) {
  const auto release = read_manifest_as_sent(sent()).value();
  for (const std::uint32_t wave : {1U, 2U, 4'294'967'295U}) {
    const auto sealed = seal_approval(release, wave, {&key_, 1}, {1});
    ASSERT_FALSE(sealed);
    EXPECT_THAT(sealed.error().message, HasSubstr("asks for no approval"));
  }
  EXPECT_EQ(read_manifest_as_sent(trust::seal(trust::Kind::gate, as_bytes("x"), key_)).error().code, Code::malformed);
}

}  // namespace
}  // namespace instar::publisher
