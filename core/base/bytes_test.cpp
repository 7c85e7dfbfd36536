#include "core/base/bytes.hpp"

#include <gtest/gtest.h>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"

namespace instar {
namespace {

TEST(Hex, OfEveryByteIsParsedToTheSameByte) {
  Bytes all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<std::uint8_t>(i));
  Bytes back;
  ASSERT_TRUE(from_hex(to_hex(all), back));
  EXPECT_EQ(back, all);
}

TEST(Hex, RefusesOddLengthAndForeignLetters) {
  Bytes out{1};
  EXPECT_FALSE(from_hex("abc", out));
  EXPECT_FALSE(from_hex("zz", out));
  EXPECT_EQ(out, Bytes{1});
}

TEST(Hash256, ParsesOnlyItsOwnForm) {
  Hash256 hash;
  hash.bytes[0] = 0xab;
  hash.bytes[31] = 0x01;
  EXPECT_EQ(Hash256::from_hex(hash.hex()), hash);
  EXPECT_FALSE(Hash256::from_hex(hash.hex().substr(1)).has_value());
  EXPECT_EQ(hash.short_hex(), "ab00000000000000");
  EXPECT_EQ(hash.prefix64(), 0xabU);
}

Result<int> half(int value) {
  if (value % 2 != 0) return fail(Code::invalid_argument, "odd");
  return value / 2;
}

Result<int> quarter(int value) {
  INSTAR_TRY(const int once, half(value));
  return half(once);
}

TEST(Result, TryReturnsTheError) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().code, Code::invalid_argument);
}

TEST(Error, HasANameForEveryCode) {
  for (std::uint16_t number = 0; number <= 16; ++number) EXPECT_NE(code_name(static_cast<Code>(number)), "unknown");
  EXPECT_EQ(code_name(static_cast<Code>(999)), "unknown");
}

}  // namespace
}  // namespace instar
