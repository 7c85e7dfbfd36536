#include "broker-plugin/acks.hpp"

#include <gtest/gtest.h>

namespace instar::broker {
namespace {

DeviceId device(int number) {
  return *DeviceId::parse("gw-" + std::to_string(number));
}

wire::Ack ack_of(std::uint64_t sequence, std::uint64_t rollout = 0, std::uint32_t attempt = 0) {
  wire::Ack ack;
  ack.sequence = sequence;
  ack.start_rollout = rollout;
  ack.start_attempt = attempt;
  return ack;
}

TEST(Acks, OfOneDeviceGoOutAsOneWithTheHighestSequenceAndTheLastTurn) {
  Acks acks;
  acks.add(device(1), ack_of(3, 7, 1));
  auto with_ending = ack_of(2, 8, 2);
  with_ending.endings = {to_bytes("a gate")};
  acks.add(device(1), with_ending);
  acks.add(device(1), ack_of(4));
  acks.assert_invariants();
  const auto taken = acks.take({1'000});
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].second.sequence, 4U);
  EXPECT_EQ(taken[0].second.start_rollout, 8U);
  EXPECT_EQ(taken[0].second.start_attempt, 2U);
  EXPECT_EQ(taken[0].second.endings, with_ending.endings);
  EXPECT_TRUE(acks.take({1'000}).empty());
}

TEST(Acks, LeaveAFewATickSoThatOthersAreNotKeptWaiting) {
  Acks acks;
  for (int i = 0; i < 20; ++i) acks.add(device(i), ack_of(1));
  std::size_t total = 0;
  int ticks = 0;
  do {
    const auto taken = acks.take({1'000});
    EXPECT_LE(taken.size(), 8U);
    total += taken.size();
    ++ticks;
  } while (acks.has_more());
  EXPECT_EQ(total, 20U);
  EXPECT_EQ(ticks, 3);
}

TEST(Acks, OfABusyBrokerWaitForWhatComesNext) {
  Acks acks;
  for (int i = 0; i < 40; ++i) acks.add(device(i), ack_of(1));
  while (!acks.take({1'000}).empty() && acks.has_more()) {
  }
  acks.add(device(1), ack_of(2));
  EXPECT_TRUE(acks.take({1'049}).empty());
  acks.add(device(1), ack_of(3));
  const auto taken = acks.take({1'050});
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].second.sequence, 3U);
}

}  // namespace
}  // namespace instar::broker
