#include "broker-plugin/roots.hpp"

#include <gtest/gtest.h>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/trust/digest.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

const trust::RootDocument kFirst = test_root(1);
const trust::RootDocument kSecond = test_root(2, trust::digest(trust::encode_root(kFirst)));

class RootsTest : public testing::Test {
 protected:
  void write(storage::Batch batch) {
    store_.commit(std::move(batch), {});
    store_.poll();
  }
  storage::MemoryStore store_;
  Roots roots_;
};

TEST_F(RootsTest, WithoutAnyThereIsNoTrustAndNothingIsTaken) {
  const auto batch = roots_.load(store_, {});
  ASSERT_TRUE(batch.has_value());
  EXPECT_TRUE(batch->empty());
  EXPECT_EQ(roots_.trust(), nullptr);
  EXPECT_EQ(roots_.take(seal_root(kFirst)).error().code, Code::untrusted_key);
}

TEST_F(RootsTest, ThePinnedOneIsToBeWrittenWhereTheStoreHasNone) {
  auto batch = roots_.load(store_, seal_root(kFirst));
  ASSERT_TRUE(batch.has_value());
  ASSERT_EQ(batch->size(), 1U);
  write(std::move(*batch));
  EXPECT_EQ(roots_.trust()->root().version, 1U);
  EXPECT_TRUE(roots_.load(store_, seal_root(kFirst))->empty()) << "it is there now";
}

TEST_F(RootsTest, ANewerOneIsTakenOnceAndWinsOverThePinnedOne) {
  write(*roots_.load(store_, seal_root(kFirst)));
  auto taken = roots_.take(seal_root(kSecond));
  ASSERT_TRUE(taken.has_value());
  EXPECT_TRUE(taken->is_new);
  EXPECT_EQ(taken->version, 2U);
  EXPECT_EQ(taken->envelope, seal_root(kSecond));
  write(std::move(taken->batch));
  const auto again = roots_.take(seal_root(kSecond));
  ASSERT_TRUE(again.has_value());
  EXPECT_FALSE(again->is_new);
  EXPECT_TRUE(again->batch.empty());
  ASSERT_TRUE(roots_.load(store_, seal_root(kFirst)).has_value());
  EXPECT_EQ(roots_.trust()->root().version, 2U);
}

TEST_F(RootsTest, KeepsEachVersionAndTakesThoseThatAreMissingBeforeOne) {
  const auto third = test_root(3, trust::digest(trust::encode_root(kSecond)));
  write(*roots_.load(store_, seal_root(third)));
  EXPECT_EQ(roots_.take(seal_root(kFirst)).error().code, Code::stale);
  EXPECT_FALSE(roots_.take(seal_root(kSecond, kStrangerKey)).has_value());
  for (const auto& [document, version] : {std::pair{kSecond, 2U}, std::pair{kFirst, 1U}}) {
    auto taken = roots_.take(seal_root(document));
    ASSERT_TRUE(taken.has_value());
    EXPECT_EQ(taken->version, version);
    EXPECT_TRUE(taken->is_new);
    EXPECT_FALSE(taken->is_newest);
    EXPECT_EQ(taken->batch.size(), 1U);
    write(std::move(taken->batch));
  }
  EXPECT_FALSE(roots_.take(seal_root(kSecond))->is_new);
  EXPECT_EQ(roots_.trust()->root().version, 3U);
  Roots again;
  ASSERT_TRUE(again.load(store_, seal_root(third)).has_value());
  EXPECT_EQ(again.chain().size(), 3U);
  EXPECT_EQ(again.chain().at(1), seal_root(kFirst));
  again.assert_invariants();
}

TEST_F(RootsTest, SaysOnceAnHourThatADeviceHoldsALaterOne) {
  const auto device = device_id("gw-01");
  EXPECT_FALSE(roots_.note_held(device, 9, {0}).has_value()) << "none is known here";
  write(*roots_.load(store_, seal_root(kFirst)));
  EXPECT_FALSE(roots_.note_held(device, 1, {0}).has_value());
  const auto line = roots_.note_held(device, 4, {0});
  ASSERT_TRUE(line.has_value());
  EXPECT_NE(line->find("instar root publish root-2.instar"), std::string::npos);
  EXPECT_FALSE(roots_.note_held(device, 4, {3'599'999}).has_value());
  EXPECT_TRUE(roots_.note_held(device, 4, {3'600'000}).has_value());
}

TEST_F(RootsTest, APinnedOneOfAnotherChainIsRefused) {
  write(*roots_.load(store_, seal_root(kFirst)));
  auto other = kFirst;
  other.issued = {1'760'000'000'001};
  EXPECT_EQ(roots_.load(store_, seal_root(other)).error().code, Code::refused);
  EXPECT_EQ(roots_.trust(), nullptr);
}

TEST_F(RootsTest, KnowSinceWhichVersionTheReleaseKeysAreTheOnes) {
  auto batch = roots_.load(store_, seal_root(kFirst));
  ASSERT_TRUE(batch.has_value());
  write(std::move(*batch));
  auto taken = roots_.take(seal_root(kSecond));
  ASSERT_TRUE(taken.has_value());
  write(std::move(taken->batch));
  EXPECT_EQ(roots_.keys().since, 0U) << "the same keys";
  EXPECT_EQ(roots_.keys().keys.size(), 2U);
  auto third = test_root(3, trust::digest(trust::encode_root(kSecond)));
  third.roles[1].key_ids = {test_key(kReleaseKey).public_key().id()};
  taken = roots_.take(seal_root(third));
  ASSERT_TRUE(taken.has_value());
  write(std::move(taken->batch));
  EXPECT_EQ(roots_.keys().since, 3U) << "the key of plant 7 is gone";
  Roots again;
  ASSERT_TRUE(again.load(store_, seal_root(kFirst)).has_value());
  EXPECT_EQ(again.keys().since, 3U) << "the store has the whole chain";
  EXPECT_EQ(again.keys().keys, roots_.keys().keys);
}

}  // namespace
}  // namespace instar::broker
