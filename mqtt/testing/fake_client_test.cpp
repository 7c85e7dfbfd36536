#include "mqtt/testing/fake_client.hpp"

#include <gtest/gtest.h>

namespace instar::mqtt {
namespace {

Message text(std::string topic, std::string_view payload) {
  return {std::move(topic), to_bytes(payload), wire::Qos::at_least_once, wire::Retain::no};
}

TEST(FakeClient, TheTestTakesThePartOfTheBroker) {
  FakeClient fake;
  EXPECT_EQ(fake.publish(text("x", "1")).error().code, Code::unavailable);
  fake.connect();
  fake.deliver(text("y", "2"));
  EXPECT_EQ(fake.take(0)->kind, EventKind::connected);
  EXPECT_EQ(fake.take(0)->message.topic, "y");
  fake.fail_publish_at = 3;
  EXPECT_TRUE(fake.publish(text("x", "1")).has_value());
  EXPECT_FALSE(fake.publish(text("x", "2")).has_value());
  EXPECT_EQ(fake.published.size(), 1U);
}

}  // namespace
}  // namespace instar::mqtt
