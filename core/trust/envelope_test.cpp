#include "core/trust/envelope.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/trust/testing/test_keys.hpp"

namespace instar::trust {
namespace {

AuthorizedKey allow(const SecretKey& key) {
  return {key.public_key().id(), key.public_key()};
}

std::vector<AuthorizedKey> allow(std::initializer_list<std::uint8_t> fills) {
  std::vector<AuthorizedKey> keys;
  for (const auto fill : fills) keys.push_back(allow(key_of(fill)));
  return keys;
}

Bytes seal_by(std::initializer_list<std::uint8_t> fills, Kind kind = Kind::manifest) {
  std::vector<SecretKey> keys;
  for (const auto fill : fills) keys.push_back(key_of(fill));
  return seal(kind, as_bytes("payload"), keys);
}

Code threshold_code(const Bytes& bytes, std::initializer_list<std::uint8_t> keys, std::uint32_t threshold,
                    Kind kind = Kind::manifest) {
  const auto parsed = parse_envelope(bytes);
  if (!parsed) return parsed.error().code;
  return code_of(verify_threshold(*parsed, kind, allow(keys), threshold));
}

TEST(Envelope, IsParsedToWhatWasSealed) {
  const Bytes bytes = seal(Kind::gate, as_bytes("hello"), key_of(1));
  const auto envelope = open_by_key(bytes, Kind::gate, key_of(1).public_key()).value();
  EXPECT_EQ(as_text(envelope.payload), "hello");
  EXPECT_EQ(envelope.kind, Kind::gate);
  EXPECT_EQ(envelope.signatures.size(), 1U);
  EXPECT_EQ(envelope.payload.data(), bytes.data() + 84);
}

TEST(Envelope, CarriesAnEmptyPayload) {
  const Bytes bytes = seal(Kind::gate, {}, key_of(1));
  EXPECT_TRUE(open_by_key(bytes, Kind::gate, key_of(1).public_key()).value().payload.empty());
}

TEST(Envelope, TheOrderOfKeysDoesNotChangeTheBytes) {
  EXPECT_EQ(seal_by({1, 2, 3}), seal_by({3, 1, 2}));
}

TEST(Envelope, NoBitCanBeFlipped) {
  const Bytes good = seal_by({1, 2});
  ASSERT_EQ(threshold_code(good, {1, 2, 3}, 2), Code::ok);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_NE(threshold_code(bad, {1, 2, 3}, 1), Code::ok) << "bit " << bit;
  }
}

TEST(Envelope, NoByteCanBeCutOffOrAdded) {
  const Bytes good = seal_by({1, 2});
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_envelope(ByteView(good).first(size)).has_value()) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_EQ(parse_envelope(longer).error().code, Code::malformed);
}

TEST(Envelope, BytesSignedAsOneKindDoNotPassAsAnother) {
  Bytes bytes = seal_by({1}, Kind::hello);
  EXPECT_EQ(threshold_code(bytes, {1}, 1, Kind::report), Code::malformed);
  bytes[5] = static_cast<std::uint8_t>(Kind::report);
  EXPECT_EQ(threshold_code(bytes, {1}, 1, Kind::report), Code::bad_signature);
}

TEST(Envelope, NewerVersionsAndKindsAreUnsupported) {
  Bytes version = seal_by({1});
  version[4] = 2;
  EXPECT_EQ(parse_envelope(version).error().code, Code::unsupported);
  EXPECT_NE(parse_envelope(version).error().message.find("newer version; update"), std::string::npos);
  Bytes kind = seal_by({1});
  kind[5] = 200;
  EXPECT_EQ(parse_envelope(kind).error().code, Code::unsupported);
  version[4] = 0;
  EXPECT_EQ(parse_envelope(version).error().code, Code::malformed);
  kind[5] = 0;
  EXPECT_EQ(parse_envelope(kind).error().code, Code::malformed);
}

TEST(Envelope, BoundsSignaturesAndSize) {
  std::vector<SecretKey> keys;
  for (std::uint8_t fill = 1; fill <= limits::kSignaturesMax; ++fill) keys.push_back(key_of(fill));
  Bytes most = seal(Kind::root, as_bytes("x"), keys);
  EXPECT_TRUE(parse_envelope(most).has_value());
  most[6] = 17;
  EXPECT_EQ(parse_envelope(most).error().code, Code::too_large);
  most[6] = 0;
  EXPECT_EQ(parse_envelope(most).error().code, Code::malformed);

  const Bytes fits(limits::kMessageBytesMax - 84);
  EXPECT_TRUE(parse_envelope(seal(Kind::root, fits, key_of(1))).has_value());
  const Bytes over(limits::kMessageBytesMax - 83);
  EXPECT_EQ(parse_envelope(seal(Kind::root, over, key_of(1))).error().code, Code::too_large);
}

TEST(Envelope, RefusesTheSameSignerTwiceAndSignersOutOfOrder) {
  const Bytes two = seal_by({1, 2});
  Bytes swapped = two;
  std::copy_n(two.begin() + 12, 72, swapped.begin() + 84);
  std::copy_n(two.begin() + 84, 72, swapped.begin() + 12);
  EXPECT_EQ(parse_envelope(swapped).error().code, Code::malformed);
  Bytes twice = two;
  std::copy_n(two.begin() + 12, 72, twice.begin() + 84);
  EXPECT_EQ(parse_envelope(twice).error().code, Code::malformed);
}

TEST(Threshold, OneOfOne) {
  EXPECT_EQ(threshold_code(seal_by({1}), {1}, 1), Code::ok);
  EXPECT_EQ(threshold_code(seal_by({2}), {1}, 1), Code::untrusted_key);
  EXPECT_EQ(threshold_code(seal_by({1}), {}, 1), Code::untrusted_key);
}

TEST(Threshold, TwoOfThree) {
  EXPECT_EQ(threshold_code(seal_by({1}), {1, 2, 3}, 2), Code::untrusted_key);
  EXPECT_EQ(threshold_code(seal_by({1, 2}), {1, 2, 3}, 2), Code::ok);
  EXPECT_EQ(threshold_code(seal_by({1, 3}), {1, 2, 3}, 2), Code::ok);
  EXPECT_EQ(threshold_code(seal_by({1, 2, 3}), {1, 2, 3}, 2), Code::ok);
}

TEST(Threshold, AnUnknownSignerBesideEnoughSignersIsRefused) {
  EXPECT_EQ(threshold_code(seal_by({1, 2, 9}), {1, 2, 3}, 2), Code::untrusted_key);
}

TEST(Threshold, ABadSignatureBesideEnoughGoodOnesIsRefused) {
  Bytes bytes = seal_by({1, 2, 3});
  bytes[12 + 2 * 72 + 8] ^= 1;
  EXPECT_EQ(threshold_code(bytes, {1, 2, 3}, 2), Code::bad_signature);
}

TEST(Threshold, ZeroStillNeedsOne) {
  Envelope nobody;
  nobody.kind = Kind::gate;
  EXPECT_EQ(code_of(verify_threshold(nobody, Kind::gate, allow({1}), 0)), Code::untrusted_key);
}

// Two keys with the same id: the key itself decides.
TEST(Threshold, AKeyIdAloneIsNotEnough) {
  const auto envelope = seal_by({1});
  const AuthorizedKey pretender{key_of(1).public_key().id(), key_of(2).public_key()};
  EXPECT_EQ(code_of(verify_threshold(parse_envelope(envelope).value(), Kind::manifest, std::span(&pretender, 1), 1)),
            Code::bad_signature);
}

TEST(OpenByKey, AcceptsOnlyThatKey) {
  EXPECT_EQ(open_by_key(seal_by({1}, Kind::report), Kind::report, key_of(2).public_key()).error().code,
            Code::untrusted_key);
  EXPECT_EQ(open_by_key(seal_by({1, 2}, Kind::report), Kind::report, key_of(1).public_key()).error().code,
            Code::untrusted_key);
  EXPECT_EQ(open_by_key({}, Kind::report, key_of(1).public_key()).error().code, Code::malformed);
}

}  // namespace
}  // namespace instar::trust
