// Signed statements: sealed, opened with a root document, then decoded.
#include <gtest/gtest.h>

#include "core/wire/testing/examples.hpp"

namespace instar::wire {
namespace {

using trust::Kind;

trust::TrustStore store() {
  return trust::TrustStore::from_pinned(
             seal(Kind::root, encode_root(examples::root()), examples::key(examples::kRootKey)))
      .value();
}

template <typename Open>
void no_bit_can_be_flipped(const Bytes& good, Open open) {
  ASSERT_TRUE(open(good));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(open(bad)) << "bit " << bit;
  }
}

TEST(Signed, NoBitOfAManifestCanBeFlipped) {
  const auto trusted = store();
  const Bytes good = seal(Kind::manifest, encode_manifest(examples::manifest()), examples::key(examples::kReleaseKey));
  no_bit_can_be_flipped(
      good, [&](const Bytes& bytes) { return trusted.open_manifest(bytes, examples::group("plant-9")).has_value(); });
}

TEST(Signed, NoBitOfAGateCanBeFlipped) {
  const auto trusted = store();
  const Bytes good = seal(Kind::gate, encode(examples::gate()), examples::key(examples::kGateKey));
  no_bit_can_be_flipped(good, [&](const Bytes& bytes) { return trusted.open_gate(bytes).has_value(); });
}

TEST(Signed, NoBitOfAHelloOrReportCanBeFlipped) {
  const auto key = examples::key(examples::kDeviceKey);
  no_bit_can_be_flipped(seal(Kind::hello, encode(examples::hello()), key), [&](const Bytes& bytes) {
    return open_by_key(bytes, Kind::hello, key.public_key()).has_value();
  });
  no_bit_can_be_flipped(seal(Kind::report, encode(examples::report()), key), [&](const Bytes& bytes) {
    return open_by_key(bytes, Kind::report, key.public_key()).has_value();
  });
}

TEST(Signed, CutOffAnywhereIsRefused) {
  const auto trusted = store();
  const Bytes good = seal(Kind::manifest, encode_manifest(examples::manifest()), examples::key(examples::kReleaseKey));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(trusted.open_manifest(ByteView(good).first(size), examples::group("plant-9")).has_value()) << size;
  }
}

TEST(Signed, APlantsKeyIsValidForItsPlantOnly) {
  const auto trusted = store();
  const Bytes bytes = seal(Kind::manifest, encode_manifest(examples::manifest()), examples::key(examples::kPlantKey));
  const auto opened = trusted.open_manifest(bytes, examples::group("plant-7/line-a"));
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(decode_manifest(opened->payload).value().release, "2.4.1");
  EXPECT_EQ(trusted.open_manifest(bytes, examples::group("plant-9")).error().code, Code::untrusted_key);
}

// A device's own key, or the gate's, cannot sign a release, and a report does not pass as a hello.
TEST(Signed, OneStatementDoesNotPassAsAnother) {
  const auto trusted = store();
  const Bytes payload = encode_manifest(examples::manifest());
  const auto where = examples::group("plant-7/line-a");
  EXPECT_FALSE(
      trusted.open_manifest(seal(Kind::manifest, payload, examples::key(examples::kGateKey)), where).has_value());
  EXPECT_FALSE(
      trusted.open_manifest(seal(Kind::manifest, payload, examples::key(examples::kDeviceKey)), where).has_value());
  EXPECT_FALSE(
      trusted.open_manifest(seal(Kind::gate, payload, examples::key(examples::kReleaseKey)), where).has_value());
  EXPECT_FALSE(
      trusted.open_gate(seal(Kind::gate, encode(examples::gate()), examples::key(examples::kReleaseKey))).has_value());
  EXPECT_EQ(decode_gate(payload).error().code, Code::malformed);
  EXPECT_EQ(decode_hello(encode(examples::report())).error().code, Code::malformed);
}

}  // namespace
}  // namespace instar::wire
