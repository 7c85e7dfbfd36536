#include "device-client/containers/lxc_commands.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::device {
namespace {

using ::testing::ElementsAre;

const LxcCommands kCommands("/usr/libexec/instar-lxc", "/state/lxc", 10'000);

JsonFields fields(const char* line) {
  return JsonFields::parse(line).value();
}

TEST(LxcCommands, AsksForStates) {
  const auto command = kCommands.state({"d.a", "d.b"});
  EXPECT_EQ(command.program, "/usr/libexec/instar-lxc");
  EXPECT_THAT(command.arguments, ElementsAre("state", "--lxcpath", "/state/lxc", "--name", "d.a", "--name", "d.b"));
}

TEST(LxcCommands, AChangeHasTimeForEachStopAndEachStart) {
  const auto command = kCommands.change({"d.a", "d.b"}, {"d.c"});
  EXPECT_THAT(command.arguments, ElementsAre("switch", "--lxcpath", "/state/lxc", "--timeout-ms", "10000", "--stop",
                                             "d.a", "--stop", "d.b", "--start", "d.c"));
  EXPECT_EQ(command.options.timeout_ms, 2 * 70'000U + 120'000U);
}

TEST(LxcCommands, AProbeIsTimedByTheHelper) {
  wire::Probe probe;
  probe.command = {"check", "it"};
  probe.timeout_ms = 500;
  const auto command = kCommands.probe("d.a", probe);
  EXPECT_THAT(command.arguments, ElementsAre("probe", "--lxcpath", "/state/lxc", "--name", "d.a", "--timeout-ms", "500",
                                             "--", "check", "it"));
  EXPECT_EQ(command.options.timeout_ms, 15'500U);
}

TEST(LxcCommands, ReadsWhatTheHelperPrints) {
  const auto states = LxcCommands::read_states({fields(R"({"name":"d.a","state":"RUNNING","pid":7})"),
                                                fields(R"({"name":"d.b","state":"STOPPED","pid":-1})"),
                                                fields(R"({"name":"d.c","state":"FROZEN"})")});
  ASSERT_EQ(states.size(), 3U);
  EXPECT_TRUE(states[0].runs && !states[0].is_stopped && states[0].pid == 7);
  EXPECT_TRUE(!states[1].runs && states[1].is_stopped && states[1].pid == -1);
  EXPECT_TRUE(!states[2].runs && !states[2].is_stopped && states[2].pid == -1);
  const auto stopped = LxcCommands::read_change(fields(R"({"name":"d.a","ran":true,"at_ms":9,"ms":3,"orphans":2})"));
  EXPECT_TRUE(stopped.ran);
  EXPECT_EQ(stopped.at_ms, 9);
  EXPECT_EQ(stopped.took_ms, 3);
  EXPECT_EQ(stopped.orphans, 2);
  EXPECT_FALSE(stopped.failed);
  EXPECT_EQ(LxcCommands::read_change(fields(R"({"name":"d.a","failed":"no"})")).failed, "no");
}

TEST(LxcCommands, ADurationFitsIntoItsBounds) {
  EXPECT_EQ(clamp_ms(-1), 0U);
  EXPECT_EQ(clamp_ms(7), 7U);
  EXPECT_EQ(clamp_ms(std::int64_t{1} << 40), 0xffff'ffffU);
}

}  // namespace
}  // namespace instar::device
