#include "device-client/containers/helper_slot.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace instar::device {
namespace {

HelperCommand shell(const std::string& script) {
  return {"/bin/sh", {"-c", script}, {60'000, {}, true}};
}

std::optional<HelperProcess> wait_for(HelperSlot& slot) {
  std::optional<HelperProcess> ended;
  while (slot.is_busy() && !ended) {
    ended = slot.poll({1'000});
    slot.assert_invariants();
    ::usleep(1'000);
  }
  return ended;
}

TEST(HelperSlot, HandsOverTheHelperThatHasEnded) {
  HelperSlot slot;
  EXPECT_FALSE(slot.poll({1'000}));
  ASSERT_TRUE(slot.start(shell("exit 4"), {1'000}));
  EXPECT_TRUE(slot.is_awaited());
  EXPECT_TRUE(slot.next_deadline({1'000}));
  const auto ended = wait_for(slot);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->ended().exit_code, 4);
  EXPECT_FALSE(slot.is_busy());
  EXPECT_FALSE(slot.next_deadline({1'000}));
  EXPECT_EQ(slot.fd(), -1);
}

TEST(HelperSlot, TheAnswerOfAReplacedJobIsDropped) {
  HelperSlot slot;
  slot.disown();
  slot.assert_invariants();
  ASSERT_TRUE(slot.start(shell("sleep 0.05"), {1'000}));
  slot.disown();
  EXPECT_TRUE(slot.is_busy());
  EXPECT_FALSE(slot.is_awaited());
  EXPECT_FALSE(wait_for(slot));
  ASSERT_TRUE(slot.start(shell("exit 5"), {1'000}));
  EXPECT_TRUE(slot.is_awaited()) << "the next one is wanted again";
  EXPECT_EQ(wait_for(slot)->ended().exit_code, 5);
}

TEST(HelperSlot, AProgramThatIsNotThereLeavesItFree) {
  HelperSlot slot;
  EXPECT_FALSE(slot.start({"/nonexistent", {}, {1'000}}, {1'000}));
  EXPECT_FALSE(slot.is_busy());
}

}  // namespace
}  // namespace instar::device
