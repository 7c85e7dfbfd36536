#include "core/rollout/devices/enrolments.hpp"

#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/rollout/exchange/record.hpp"
#include "core/rollout/testing/messages.hpp"

namespace instar::rollout {
namespace {

wire::Enrolment listed(std::string_view device) {
  wire::Enrolment out;
  out.device = id(device);
  out.product = "listed-product";
  out.groups = {group("plant-9")};
  out.issued = kNow.wall;
  return out;
}

class EnrolmentsTest : public testing::Test {
 protected:
  void SetUp() override { enrolments.demand(true); }
  void TearDown() override { enrolments.assert_invariants(); }
  Enrolments enrolments;
  Effects effects;
};

TEST_F(EnrolmentsTest, WhereNothingIsDemandedEverybodyIsTaken) {
  enrolments.demand(false);
  EXPECT_TRUE(enrolments.check(hello("d"), false, kNow.wall).has_value());
  enrolments.set(listed("d"));
  auto description = hello("d").description;
  enrolments.apply(id("d"), description);
  EXPECT_EQ(description, hello("d").description);
}

TEST_F(EnrolmentsTest, TheKeyIsTheListedOne) {
  EXPECT_EQ(enrolments.check(hello("d"), false, kNow.wall).error().code, Code::refused);
  auto word = listed("d");
  word.key = hello("d").key;
  enrolments.set(word);
  EXPECT_TRUE(enrolments.check(hello("d"), false, kNow.wall).has_value());
  auto other = hello("d");
  other.key = wire::examples::key(7).public_key();
  EXPECT_EQ(enrolments.check(other, true, kNow.wall).error().code, Code::untrusted_key);
}

TEST_F(EnrolmentsTest, ATokenIsUsedUpByTheKeyThatItPins) {
  auto word = listed("d");
  word.token_hash = hash_of_token(as_bytes("secret"));
  enrolments.set(word);
  auto message = hello("d");
  EXPECT_EQ(enrolments.check(message, false, kNow.wall).error().code, Code::refused);
  message.token = to_bytes("secret");
  ASSERT_TRUE(enrolments.check(message, false, kNow.wall).has_value());
  enrolments.note_pinned(message, effects);
  ASSERT_EQ(effects.size(), 1U);
  EXPECT_EQ(std::get<SpendToken>(effects[0]).token_hash, word.token_hash);
  EXPECT_TRUE(enrolments.check(message, true, kNow.wall).has_value()) << "the device itself";
  EXPECT_EQ(enrolments.check(message, false, kNow.wall).error().code, Code::refused) << "another key";
  word.token_hash = hash_of_token(as_bytes("another"));
  enrolments.set(word);
  message.token = to_bytes("another");
  EXPECT_TRUE(enrolments.check(message, false, kNow.wall).has_value()) << "a new token";
}

TEST_F(EnrolmentsTest, TheFirstHelloComesInTime) {
  auto word = listed("d");
  word.key = hello("d").key;
  word.expires = kNow.wall;
  enrolments.set(word);
  EXPECT_EQ(enrolments.check(hello("d"), false, kNow.wall).error().code, Code::expired);
  EXPECT_TRUE(enrolments.check(hello("d"), true, kNow.wall).has_value());
}

TEST_F(EnrolmentsTest, ProductAndGroupsAreListedAndAnAssignmentGoesBefore) {
  enrolments.set(listed("d"));
  auto description = hello("d").description;
  enrolments.apply(id("d"), description);
  EXPECT_EQ(description.product, "listed-product");
  EXPECT_EQ(description.groups, listed("d").groups);
  enrolments.assign(id("d"), {group("lab")});
  enrolments.apply(id("d"), description);
  EXPECT_EQ(description.groups, std::vector{group("lab")});
  enrolments.assign(id("d"), {});
  enrolments.apply(id("d"), description);
  EXPECT_EQ(description.groups, listed("d").groups);
}

TEST_F(EnrolmentsTest, OfThoseThatAreRefusedTheLastAreKnown) {
  for (std::size_t i = 0; i <= limits::kRefusedDevicesMax; ++i) {
    enrolments.note_refused(hello("d" + std::to_string(i)), "evil", {Code::refused, "why"},
                            kNow.wall + static_cast<std::int64_t>(i));
  }
  EXPECT_EQ(enrolments.refused().size(), limits::kRefusedDevicesMax);
  EXPECT_FALSE(enrolments.refused().contains(id("d0"))) << "it came longest ago";
  EXPECT_EQ(enrolments.refused_hellos(), limits::kRefusedDevicesMax + 1);
}

}  // namespace
}  // namespace instar::rollout
