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
  const auto failed = LxcCommands::read_change(fields(R"({"name":"d.a","failed":"no"})"));
  EXPECT_EQ(failed.failed, "no");
  EXPECT_FALSE(failed.no_room);
  EXPECT_TRUE(LxcCommands::read_change(fields(R"({"name":"d.a","failed":"no","no_room":true})")).no_room);
}

TEST(LxcCommands, AStopIsDescribedByHowTheProgramEnded) {
  const auto described = [](const char* line) { return describe_stop(LxcCommands::read_change(fields(line))); };
  const auto well = described(R"({"name":"d.a","ran":true,"ending":"itself","signal":"SIGTERM","ms":12})");
  EXPECT_EQ(well.text, "container d.a is stopped, in 12 ms");
  EXPECT_FALSE(well.is_notable || well.is_slow);
  const auto never_ran = described(R"({"name":"d.a","ran":false,"ending":"","signal":"SIGKILL","ms":1})");
  EXPECT_FALSE(never_ran.is_notable || never_ran.is_slow);
  const auto deaf = described(R"({"name":"d.a","ran":true,"ending":"deaf","signal":"SIGPWR","ms":26})");
  EXPECT_THAT(deaf.text, testing::HasSubstr("takes no signal (SIGPWR would be dropped)"));
  EXPECT_TRUE(deaf.is_notable && !deaf.is_slow);
  const auto late = described(R"({"name":"d.a","ran":true,"ending":"late","signal":"SIGTERM","ms":10007})");
  EXPECT_THAT(late.text, testing::HasSubstr("d.a did not react to SIGTERM in 10007 ms and was killed"));
  EXPECT_THAT(late.text, testing::HasSubstr("lxc.signal.halt"));
  EXPECT_TRUE(late.is_notable && late.is_slow);
}

TEST(LxcCommands, ADurationFitsIntoItsBounds) {
  EXPECT_EQ(clamp_ms(-1), 0U);
  EXPECT_EQ(clamp_ms(7), 7U);
  EXPECT_EQ(clamp_ms(std::int64_t{1} << 40), 0xffff'ffffU);
}

}  // namespace
}  // namespace instar::device
