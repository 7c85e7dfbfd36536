// Hellos rise, and what a device does when the broker knows a later one under its name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "core/base/limits.hpp"
#include "core/revision/testing/machine_fixture.hpp"

namespace instar::revision {
namespace {

using testing::Contains;
using testing::HasSubstr;

class NameTest : public testing::Test {
 protected:
  void SetUp() override {
    fixture.facts.instance = 77;
    fixture.boot();
    fixture.connect();
    fixture.run(1'000);
  }

  void say_stale(std::uint32_t boot, std::uint64_t instance) {
    wire::Ack ack;
    ack.code = Code::stale;
    ack.boot = boot;
    ack.instance = instance;
    fixture.receive(fixture.topics.device(fixture.facts.device, wire::TopicKind::device_ack), wire::encode(ack));
    fixture.settle();
  }

  void expect_rising() const {
    for (std::size_t i = 1; i < fixture.hellos.size(); ++i) {
      const auto& before = fixture.hellos[i - 1];
      const auto& after = fixture.hellos[i];
      EXPECT_LT(std::tie(before.boot, before.connect), std::tie(after.boot, after.connect)) << "hello " << i;
    }
  }

  MachineFixture fixture;
};

TEST_F(NameTest, EachHelloIsLaterThanTheOneBefore) {
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  fixture.disconnect();
  fixture.connect();
  fixture.run(1'000);
  fixture.power_cut();
  fixture.run(1'000);
  EXPECT_GE(fixture.hellos.size(), 3U);
  EXPECT_EQ(fixture.hellos.back().instance, 77U);
  expect_rising();
}

TEST_F(NameTest, AStartThatTheBrokerKnowsIsGoneAboveAndStaysSo) {
  say_stale(9, 5);
  EXPECT_EQ(fixture.hellos.back().boot, 10U) << "at once";
  EXPECT_TRUE(fixture.logged("its state was lost"));
  fixture.power_cut();
  EXPECT_EQ(fixture.hellos.back().boot, 11U) << "it was persisted";
  expect_rising();
}

TEST_F(NameTest, AnOldHelloThatWasSentAgainChangesNothing) {
  const auto before = fixture.hellos.size();
  say_stale(fixture.hellos.back().boot, 77);
  fixture.run(60'000);
  EXPECT_EQ(fixture.hellos.size(), before);
}

TEST_F(NameTest, OneThatIsNotEnrolledAsksAgainNowAndThen) {
  const auto before = fixture.hellos.size();
  fixture.ack(0, Code::refused);
  fixture.settle();
  EXPECT_EQ(fixture.hellos.size(), before) << "not at once";
  fixture.run(limits::kReportResendMsMin * 2);
  EXPECT_EQ(fixture.hellos.size(), before + 1);
  expect_rising();
}

TEST_F(NameTest, AnotherDeviceUnderTheNameIsTold) {
  for (std::size_t i = 0; i < limits::kClashesMax; ++i) {
    say_stale(fixture.hellos.back().boot, 5 + i);
    fixture.run(60'000);
  }
  EXPECT_THAT(fixture.hellos.back().description.degraded, Contains(HasSubstr("cloned disk")));
  expect_rising();
}

TEST_F(NameTest, AStartThatIsAbsurdlyFarIsToldAndNotTaken) {
  const auto boot = fixture.hellos.back().boot;
  say_stale(boot + limits::kBootJumpMax + 1, 5);
  EXPECT_EQ(fixture.hellos.back().boot, boot);
  EXPECT_THAT(fixture.hellos.back().description.degraded, Contains(HasSubstr("too far")));
  const auto before = fixture.hellos.size();
  fixture.run(limits::kReportResendMsMin * 2);
  EXPECT_EQ(fixture.hellos.size(), before + 1) << "it asks again: an operator may make room";
  fixture.ack(0);
  fixture.settle();
  EXPECT_TRUE(fixture.hellos.back().description.degraded.empty());
  expect_rising();
}

}  // namespace
}  // namespace instar::revision
