#include "mqtt/packet_bound.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "core/base/limits.hpp"

namespace instar::mqtt {
namespace {

TEST(PacketBound, TakesWhatFitsAndRemembersWhatDoesNot) {
  EXPECT_TRUE(takes_packet(0));
  EXPECT_TRUE(takes_packet(limits::kPacketBytesMax));
  EXPECT_EQ(take_refused_packet(), 0U);
  EXPECT_FALSE(takes_packet(limits::kPacketBytesMax + 1));
  EXPECT_EQ(take_refused_packet(), limits::kPacketBytesMax + 1);
  EXPECT_EQ(take_refused_packet(), 0U) << "it is said once";
}

// This program's calls lead there, like those of the library that it is for.
TEST(PacketBound, ACallForMoreFailsAndReadsNothing) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  ASSERT_EQ(::write(ends[1], "word", 4), 4);
  std::vector<char> room(limits::kPacketBytesMax + 1);
  EXPECT_EQ(::recv(ends[0], room.data(), room.size(), 0), -1);
  EXPECT_EQ(errno, EMSGSIZE);
  EXPECT_EQ(take_refused_packet(), room.size());
  EXPECT_EQ(::recv(ends[0], room.data(), room.size() - 1, 0), 4);
  EXPECT_EQ(::recv(ends[0], room.data(), 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN) << "other errors come through";
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace instar::mqtt
