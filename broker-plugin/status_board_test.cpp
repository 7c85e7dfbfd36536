#include "broker-plugin/status_board.hpp"

#include <gtest/gtest.h>

#include "core/trust/digest.hpp"

namespace instar::broker {
namespace {

const ManifestId kOne(trust::digest(Bytes{1}));
const ManifestId kTwo(trust::digest(Bytes{2}));

TEST(StatusBoard, PublishesTheFirstChangeAtOnceAndTheNextOnesOnceASecond) {
  StatusBoard board;
  EXPECT_TRUE(board.changed(kOne, {5'000}));
  board.published(kOne, {5'000});
  EXPECT_FALSE(board.changed(kOne, {5'001}));
  EXPECT_FALSE(board.changed(kOne, {5'999}));
  EXPECT_TRUE(board.changed(kTwo, {5'999})) << "each has a clock of its own";
  EXPECT_TRUE(board.due({5'999}).empty());
  EXPECT_EQ(board.due({6'000}), std::vector{kOne});
  board.published(kOne, {6'000});
  EXPECT_TRUE(board.due({9'000}).empty());
  board.assert_invariants({9'000});
}

TEST(StatusBoard, ForgetsARolloutThatIsNoMore) {
  StatusBoard board;
  board.published(kOne, {5'000});
  EXPECT_FALSE(board.changed(kOne, {5'001}));
  board.forget(kOne);
  EXPECT_TRUE(board.due({9'000}).empty());
  EXPECT_TRUE(board.changed(kOne, {5'002}));
}

TEST(StatusBoard, PublishesAtOnceAfterTheLastTimeIsForgotten) {
  StatusBoard board;
  board.published(kOne, {5'000});
  board.forget_last(kOne);
  EXPECT_TRUE(board.changed(kOne, {5'001}));
}

}  // namespace
}  // namespace instar::broker
