#include "broker-plugin/mosquitto/connections.hpp"

#include <gtest/gtest.h>

namespace instar::broker {
namespace {

int a = 0;
int b = 0;

TEST(Connections, EndOfTheOnlyConnectionIsTheEndOfTheClient) {
  Connections connections;
  EXPECT_EQ(connections.seen(&a, "dev1"), std::nullopt);
  EXPECT_EQ(connections.gone(&a), "dev1");
  EXPECT_EQ(connections.size(), 0U);
}

TEST(Connections, AConnectionWithoutAMessageEndsNoClient) {
  Connections connections;
  EXPECT_EQ(connections.gone(&a), std::nullopt);
  EXPECT_EQ(connections.gone(nullptr), std::nullopt);
}

TEST(Connections, AReplacedConnectionEndsNoClient) {
  Connections connections;
  (void)connections.seen(&a, "dev1");
  (void)connections.seen(&b, "dev1");
  EXPECT_EQ(connections.gone(&a), std::nullopt);
  EXPECT_EQ(connections.gone(&b), "dev1");
}

TEST(Connections, StaleContextEndsOnce) {
  Connections connections;
  (void)connections.seen(&a, "dev1");
  EXPECT_EQ(connections.gone(&a), "dev1");
  (void)connections.seen(&b, "dev1");
  EXPECT_EQ(connections.gone(&a), std::nullopt);
  EXPECT_EQ(connections.gone(&b), "dev1");
}

TEST(Connections, AddressUsedAgainByAnotherClientEndsTheFirst) {
  Connections connections;
  (void)connections.seen(&a, "dev1");
  EXPECT_EQ(connections.seen(&a, "dev2"), "dev1");
  EXPECT_EQ(connections.gone(&a), "dev2");
  EXPECT_EQ(connections.size(), 0U);
}

TEST(Connections, SpeakingAgainOnAnOlderConnectionCounts) {
  Connections connections;
  (void)connections.seen(&a, "dev1");
  (void)connections.seen(&b, "dev1");
  (void)connections.seen(&a, "dev1");
  EXPECT_EQ(connections.gone(&b), std::nullopt);
  EXPECT_EQ(connections.gone(&a), "dev1");
}

}  // namespace
}  // namespace instar::broker
