#include "broker-plugin/mosquitto/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<OptionLine> lines_with(std::vector<OptionLine> more) {
  std::vector<OptionLine> lines{{"store_dir", "/s"}, {"gate_key", "/k"}, {"root", "/r"}};
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

std::string error_of(std::vector<OptionLine> lines) {
  const auto options = parse_options(lines);
  if (options.has_value()) return "accepted";
  EXPECT_EQ(options.error().code, Code::invalid_argument);
  return options.error().message;
}

TEST(PluginOptions, DefaultsAreThoseOfTheDocumentation) {
  const auto options = parse_options(lines_with({}));
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->store_dir, "/s");
  EXPECT_EQ(options->gate_key, "/k");
  EXPECT_EQ(options->root, "/r");
  EXPECT_EQ(options->prefix, "instar/v1");
  EXPECT_EQ(options->acl_fallthrough, AclFallthrough::defer);
  EXPECT_TRUE(options->operators.empty());
  EXPECT_TRUE(options->bridges.empty());
  EXPECT_TRUE(options->transfer_log.empty());
  EXPECT_EQ(options->window_bytes, 0U);
}

TEST(PluginOptions, AllAreParsed) {
  const auto options = parse_options(lines_with({{"prefix", "acme/updates"},
                                                 {"acl_fallthrough", "allow"},
                                                 {"operators", "alice, bob"},
                                                 {"bridges", "hub.north"},
                                                 {"transfer_log", "/t"},
                                                 {"window_bytes", "65536"},
                                                 {"unknown_devices_max_per_login", "500"},
                                                 {"unknown_devices_days", "7"},
                                                 {"enrolment", "listed"}}));
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->prefix, "acme/updates");
  EXPECT_EQ(options->acl_fallthrough, AclFallthrough::allow);
  EXPECT_THAT(options->operators, ElementsAre("alice", "bob"));
  EXPECT_THAT(options->bridges, ElementsAre("hub.north"));
  EXPECT_EQ(options->transfer_log, "/t");
  EXPECT_EQ(options->window_bytes, 65536U);
  EXPECT_EQ(options->unknown_devices_max_per_login, 500U);
  EXPECT_EQ(options->unknown_devices_days, 7U);
  EXPECT_TRUE(options->listed);
}

TEST(PluginOptions, TheClockIsWatchedUnlessItIsTrusted) {
  const auto watched = *parse_options(lines_with({{"clock", "watch"}}));
  EXPECT_FALSE(watched.clock.trust);
  EXPECT_EQ(watched, *parse_options(lines_with({})));
  const auto trusted = *parse_options(lines_with({{"clock", "trust"}, {"clock_ahead_days_max", "3650"}}));
  EXPECT_TRUE(trusted.clock.trust);
  EXPECT_EQ(trusted.clock.ahead_days_max, 3'650U);
}

TEST(PluginOptions, EachRequiredOneIsNamedWhenMissing) {
  EXPECT_THAT(error_of({{"gate_key", "/k"}, {"root", "/r"}}), HasSubstr("plugin_opt_store_dir"));
  EXPECT_THAT(error_of({{"store_dir", "/s"}, {"root", "/r"}}), HasSubstr("plugin_opt_gate_key"));
  EXPECT_THAT(error_of({{"store_dir", "/s"}, {"gate_key", "/k"}}), HasSubstr("plugin_opt_root"));
}

TEST(PluginOptions, UnknownOneIsNamedWithTheKnownOnes) {
  const auto error = error_of(lines_with({{"store_path", "/x"}}));
  EXPECT_THAT(error, HasSubstr("plugin_opt_store_path"));
  EXPECT_THAT(error, HasSubstr("/x"));
  EXPECT_THAT(error, HasSubstr("store_dir"));
}

TEST(PluginOptions, GivenTwiceIsRefused) {
  EXPECT_THAT(error_of(lines_with({{"root", "/r"}})), HasSubstr("twice"));
}

struct BadValue {
  const char* name;
  const char* value;
  const char* allowed;
};
class PluginOptionsBad : public testing::TestWithParam<BadValue> {};

TEST_P(PluginOptionsBad, NamesOptionValueAndWhatIsAllowed) {
  const auto error = error_of(lines_with({{GetParam().name, GetParam().value}}));
  EXPECT_THAT(error, HasSubstr(std::string("plugin_opt_") + GetParam().name + " is \"" + GetParam().value + "\""));
  EXPECT_THAT(error, HasSubstr(GetParam().allowed));
}

INSTANTIATE_TEST_SUITE_P(
    Values, PluginOptionsBad,
    testing::Values(BadValue{"acl_fallthrough", "maybe", "defer"}, BadValue{"acl_fallthrough", "", "allow"},
                    BadValue{"clock", "yes", "trust"}, BadValue{"clock_ahead_days_max", "0", "36500"},
                    BadValue{"acl_fallthrough", "Allow", "allow"}, BadValue{"prefix", "a/+/b", "instar/v1"},
                    BadValue{"prefix", "abc", "4 characters"}, BadValue{"prefix", "/abcd", "levels"},
                    BadValue{"prefix", "", "levels"}, BadValue{"operators", "", "commas"},
                    BadValue{"operators", "alice,,bob", "commas"}, BadValue{"bridges", "a,", "commas"},
                    BadValue{"transfer_log", "relative", "absolute path"}, BadValue{"window_bytes", "0", "512"},
                    BadValue{"window_bytes", "511", "512"}, BadValue{"window_bytes", "524289", "524288"},
                    BadValue{"window_bytes", "64k", "number"}, BadValue{"window_bytes", "-1", "number"},
                    BadValue{"window_bytes", "99999999999", "number"},
                    BadValue{"pack_bytes_max", "10G", "number of bytes"},
                    BadValue{"disk_free_min", "-1", "number of bytes"}));

TEST(PluginOptions, RoomForPacksIsInBytes) {
  const auto none = *parse_options(lines_with({}));
  EXPECT_EQ(none.pack_bytes_max, 0U);
  EXPECT_EQ(none.disk_free_min, limits::kDiskFreeBytesMin);
  const auto some = *parse_options(lines_with({{"pack_bytes_max", "20000000000"}, {"disk_free_min", "0"}}));
  EXPECT_EQ(some.pack_bytes_max, 20'000'000'000U);
  EXPECT_EQ(some.disk_free_min, 0U);
}

TEST(PluginOptions, PathsMustBeAbsolute) {
  EXPECT_THAT(error_of({{"store_dir", "var"}}), HasSubstr("absolute path"));
  EXPECT_THAT(error_of({{"gate_key", ""}}), HasSubstr("absolute path"));
  EXPECT_THAT(error_of({{"root", "./r"}}), HasSubstr("absolute path"));
}

TEST(PluginOptions, SetsThatDifferAreNotEqual) {
  EXPECT_EQ(*parse_options(lines_with({})), *parse_options(lines_with({{"acl_fallthrough", "defer"}})));
  EXPECT_NE(*parse_options(lines_with({})), *parse_options(lines_with({{"acl_fallthrough", "allow"}})));
}

}  // namespace
}  // namespace instar::broker
