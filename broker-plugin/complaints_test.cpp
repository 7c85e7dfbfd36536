#include "broker-plugin/complaints.hpp"

#include <gtest/gtest.h>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

const Error kNotYou{Code::refused, "not you"};

class ComplaintsTest : public testing::Test {
 protected:
  void add(const std::string& client, std::int64_t at) {
    complaints_.add({client, "evil", true, "10.0.0.7"}, "a message on x", kNotYou, {at});
    complaints_.assert_invariants();
  }
  FakeBroker broker_;
  Log log_{broker_};
  Complaints complaints_{log_};
};

TEST_F(ComplaintsTest, AreAllCountedAndAClientHasAFewLinesAMinute) {
  for (int i = 0; i < 25; ++i) add("fl-0", 1'000 + i);
  EXPECT_EQ(complaints_.count(), 25U);
  ASSERT_EQ(broker_.lines.size(), limits::kLinesPerSubjectMax);
  EXPECT_EQ(broker_.lines[0],
            "4 refused a message on x: refused: not you (client 'fl-0', user 'evil', address 10.0.0.7)");
  add("fl-1", 1'100);
  EXPECT_EQ(broker_.lines.size(), limits::kLinesPerSubjectMax + 1) << "another is not silenced by the first";
  add("fl-0", 60'999);
  EXPECT_EQ(broker_.lines.size(), limits::kLinesPerSubjectMax + 1);
  add("fl-0", 61'000);
  EXPECT_EQ(broker_.lines.size(), limits::kLinesPerSubjectMax + 2);
}

TEST_F(ComplaintsTest, OfManyClientsThereIsABoundedNumberOfLines) {
  for (int i = 0; i < 1'000; ++i) add("fl-" + std::to_string(i), 1'000);
  EXPECT_EQ(broker_.lines.size(), limits::kComplaintsPerMinuteMax);
  complaints_.tick({60'999});
  EXPECT_EQ(broker_.lines.size(), limits::kComplaintsPerMinuteMax) << "not yet";
  complaints_.tick({61'000});
  EXPECT_TRUE(broker_.logged("940 more messages were refused"));
  complaints_.tick({200'000});
  EXPECT_EQ(broker_.lines.size(), limits::kComplaintsPerMinuteMax + 1) << "said once";
}

TEST_F(ComplaintsTest, LinesAboutDevicesAreBoundedLikewiseAndAreNoRefusals) {
  const auto device = device_id("gw-01");
  for (std::size_t i = 0; i < limits::kLinesPerSubjectMax + 2; ++i)
    complaints_.note(device, LogLevel::notice, "device gw-01 is new", {1'000});
  EXPECT_EQ(broker_.lines, std::vector<std::string>(limits::kLinesPerSubjectMax, "5 device gw-01 is new"));
  complaints_.tick({61'000});
  EXPECT_TRUE(broker_.logged("2 more lines about single devices"));
  EXPECT_EQ(complaints_.count(), 0U);
}

TEST_F(ComplaintsTest, ASenderBehindABridgeIsNamedByIt) {
  complaints_.add({"hub.north", "", false, ""}, "a message on x", kNotYou, {0});
  EXPECT_TRUE(broker_.logged("(bridge 'hub.north', no user name)"));
}

TEST(ServiceLog, OneEntryIsOneLine) {
  FakeBroker broker;
  Log(broker).write(LogLevel::error, "a\nb\x7f");
  EXPECT_EQ(broker.lines, std::vector<std::string>{"3 a b "});
}

}  // namespace
}  // namespace instar::broker
