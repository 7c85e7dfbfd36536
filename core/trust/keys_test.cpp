#include "core/trust/keys.hpp"

#include <gtest/gtest.h>

#include "core/trust/testing/test_keys.hpp"

namespace instar::trust {
namespace {

Bytes unhex(std::string_view hex) {
  Bytes out;
  EXPECT_TRUE(from_hex(hex, out));
  return out;
}

// RFC 8032, section 7.1, test 2.
TEST(Keys, MatchTheVectorsOfTheRfc) {
  const auto key =
      SecretKey::from_seed(unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")).value();
  EXPECT_EQ(to_hex(key.public_key().bytes), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const Bytes message{0x72};
  const Signature signature = key.sign(message);
  EXPECT_EQ(to_hex(signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(verify(key.public_key(), message, signature));
}

TEST(Keys, AnyFlippedBitOfASignatureFails) {
  const auto key = key_of(1);
  const Bytes message{1, 2, 3};
  const Signature signature = key.sign(message);
  for (std::size_t bit = 0; bit < 512; ++bit) {
    Signature bad = signature;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(verify(key.public_key(), message, bad)) << bit;
  }
  EXPECT_FALSE(verify(key_of(2).public_key(), message, signature));
  EXPECT_FALSE(verify(key.public_key(), Bytes{1, 2, 4}, signature));
  EXPECT_FALSE(verify(key.public_key(), Bytes{}, signature));
}

TEST(Keys, RefuseSeedsAndKeysOfAnotherSize) {
  EXPECT_EQ(SecretKey::from_seed(Bytes(31)).error().code, Code::invalid_argument);
  EXPECT_EQ(SecretKey::from_seed(Bytes(64)).error().code, Code::invalid_argument);
  EXPECT_EQ(PublicKey::from_bytes(Bytes(31)).error().code, Code::malformed);
  EXPECT_EQ(PublicKey::from_bytes({}).error().code, Code::malformed);
}

// A key of small order would verify signatures that nobody made.
TEST(Keys, RefuseBytesThatAreNoKey) {
  Bytes identity(32, 0);
  identity[0] = 1;
  for (const auto& bad : {Bytes(32, 0), identity, Bytes(32, 0xff),
                          unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")}) {
    EXPECT_EQ(PublicKey::from_bytes(bad).error().code, Code::malformed) << to_hex(bad);
  }
}

TEST(KeyFiles, AreParsedToTheKeysThatWereWritten) {
  const auto key = key_of(7);
  const auto back = parse_secret_key(format_secret_key(key)).value();
  EXPECT_EQ(to_hex(back.seed()), to_hex(key.seed()));
  EXPECT_EQ(parse_public_key(format_public_key(key.public_key(), "")).value(), key.public_key());
  EXPECT_EQ(parse_public_key(format_public_key(key.public_key(), "Ops desk 2")).value(), key.public_key());
}

TEST(KeyFiles, ALabelCannotBreakTheLine) {
  const auto text = format_public_key(key_of(7).public_key(), "a\nb\x1b");
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  EXPECT_TRUE(parse_public_key(text).has_value());
}

TEST(KeyFiles, OtherFilesAreRefused) {
  const std::string good = format_secret_key(key_of(7));
  const std::string line = good.substr(0, good.size() - 1);
  for (const std::string& bad :
       {std::string(), std::string("\n"), line.substr(1), line.substr(0, line.size() - 1), line + "0", line + " label",
        "instar-secret-key-v2" + line.substr(20), line.substr(0, line.size() - 1) + "g", good + good, " " + line}) {
    const auto parsed = parse_secret_key(bad);
    ASSERT_FALSE(parsed.has_value()) << bad;
    EXPECT_EQ(parsed.error().code, Code::malformed);
    // A damaged secret must not end up in a log.
    EXPECT_EQ(parsed.error().message.find("0707"), std::string::npos);
  }
  const std::string pub = format_public_key(key_of(7).public_key(), "");
  const std::string pub_line = pub.substr(0, pub.size() - 1);
  for (const std::string& bad :
       {std::string(), pub_line.substr(1), pub_line.substr(0, pub_line.size() - 1), pub_line + "0", pub + "x\n"}) {
    EXPECT_EQ(parse_public_key(bad).error().code, Code::malformed) << bad;
  }
}

TEST(KeyFiles, ErrorsNameTheOtherFileOfThePair) {
  EXPECT_NE(parse_public_key(format_secret_key(key_of(7))).error().message.find("public key is needed"),
            std::string::npos);
  EXPECT_NE(
      parse_secret_key(format_public_key(key_of(7).public_key(), "x")).error().message.find("secret key is needed"),
      std::string::npos);
}

}  // namespace
}  // namespace instar::trust
