// docs/formats/anchor.md, held to its word.
#include "core/revision/anchor.hpp"

#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/revision/testing/machine_fixture.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision {
namespace {

class AnchorTest : public testing::Test {
 protected:
  AnchorTest() {
    second_ = fixture.root;
    second_.version = 2;
    second_.previous = trust::digest(trust::encode_root(fixture.root));
  }
  [[nodiscard]] Bytes sealed(const trust::RootDocument& document) const {
    return trust::seal(trust::Kind::root, trust::encode_root(document), fixture.root_key);
  }
  [[nodiscard]] Anchor anchor(const trust::RootDocument& document, std::uint64_t sequence) const {
    return {sealed(document), sequence, to_bytes("an assignment")};
  }
  [[nodiscard]] DeviceState state(const trust::RootDocument& document, std::uint64_t sequence) const {
    DeviceState out;
    out.root = sealed(document);
    out.history.highest_sequence = sequence;
    return out;
  }

  MachineFixture fixture;
  trust::RootDocument second_;
};

TEST_F(AnchorTest, ComesBackAsItWasWritten) {
  auto written = anchor(second_, 0x0102'0304'0506'0708);
  EXPECT_EQ(decode_anchor(encode_anchor(written)).value(), written);
  written.assignment.clear();
  EXPECT_EQ(decode_anchor(encode_anchor(written)).value(), written);
}

TEST_F(AnchorTest, EveryFlippedBitAndEveryCutIsNoticed) {
  const auto bytes = encode_anchor(anchor(second_, 7));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto flipped = bytes;
    flipped[i] ^= static_cast<std::uint8_t>(1U << (i % 8));
    EXPECT_EQ(decode_anchor(flipped).error().code, Code::corrupt) << i;
    EXPECT_EQ(decode_anchor(ByteView(bytes).first(i)).error().code, Code::corrupt) << i;
  }
  EXPECT_EQ(decode_anchor(Bytes(limits::kAnchorBytesMax + 1)).error().code, Code::too_large);
}

TEST_F(AnchorTest, AWholeFileThatIsNoneIsMalformed) {
  const auto with_checksum = [](Bytes body) {
    const auto checksum = trust::digest(body);
    body.insert(body.end(), checksum.bytes.begin(), checksum.bytes.end());
    return body;
  };
  auto body = encode_anchor(anchor(second_, 7));
  body.resize(body.size() - 32);
  auto other = body;
  other[0] = 'X';
  EXPECT_EQ(decode_anchor(with_checksum(other)).error().code, Code::malformed);
  other = body;
  other[4] = 2;
  EXPECT_EQ(decode_anchor(with_checksum(other)).error().code, Code::unsupported);
  other = body;
  other.push_back(0);
  EXPECT_EQ(decode_anchor(with_checksum(other)).error().code, Code::malformed);
  other = body;
  other[30] ^= 1;
  EXPECT_EQ(decode_anchor(with_checksum(other)).error().code, Code::malformed) << "its root document is not signed";
}

TEST_F(AnchorTest, RaisesAStateThatIsBehind) {
  auto behind = state(fixture.root, 4);
  EXPECT_TRUE(raise_to(behind, anchor(fixture.root, 6)));
  EXPECT_EQ(behind.history.highest_sequence, 6U);
  EXPECT_EQ(behind.root, sealed(fixture.root));
  EXPECT_EQ(behind.assignment, to_bytes("an assignment")) << "it had none";
  behind.history.refused = {hash_of("refused")};
  EXPECT_TRUE(raise_to(behind, anchor(second_, 2))) << "the power went between the two files";
  EXPECT_EQ(behind.root, sealed(second_));
  EXPECT_EQ(behind.history.highest_sequence, 2U) << "the newer document has started sequences over";
  EXPECT_TRUE(behind.history.refused.empty());
}

TEST_F(AnchorTest, IsNoStepBackForOneThatIsAhead) {
  auto ahead = state(second_, 1);
  ahead.assignment = to_bytes("another assignment");
  const auto before = ahead;
  EXPECT_FALSE(raise_to(ahead, anchor(fixture.root, 900)));
  EXPECT_FALSE(raise_to(ahead, anchor(second_, 1)));
  EXPECT_FALSE(raise_to(ahead, anchor(second_, 0)));
  EXPECT_EQ(ahead, before);
}

TEST_F(AnchorTest, AStateThatIsNothingGetsAllOfIt) {
  DeviceState nothing;
  EXPECT_TRUE(raise_to(nothing, anchor(second_, 9)));
  EXPECT_EQ(anchor_of(nothing), anchor(second_, 9));
}

}  // namespace
}  // namespace instar::revision
