#include "device-client/process/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace instar::device {
namespace {

using ::testing::HasSubstr;

const std::string kLeast =
    "device_id = press-12\nproduct = press\ngroups = plant-7/line-a\nserver = tcp://localhost:1883\n";

Error mistake(const std::string& more) {
  const auto config = parse_config(kLeast + more, "device.conf");
  EXPECT_FALSE(config.has_value()) << more;
  return config ? Error{} : config.error();
}

TEST(Config, TakesTheLeastAndFillsInDefaults) {
  const auto config = parse_config(kLeast, "device.conf");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->device_id.str(), "press-12");
  EXPECT_EQ(config->product, "press");
  ASSERT_EQ(config->groups.size(), 1U);
  EXPECT_EQ(config->groups[0].str(), "plant-7/line-a");
  EXPECT_EQ(config->state_dir, "/var/lib/instar");
  EXPECT_EQ(config->topics.prefix(), "instar/v1");
  EXPECT_EQ(config->network, Network::loopback);
  EXPECT_FALSE(config->metered);
  EXPECT_FALSE(config->devices_allowed);
  EXPECT_TRUE(config->lxc_keys_allowed.empty());
}

TEST(Config, ReadsEveryKey) {
  const auto config = parse_config(
      "# the press in hall 3\n"
      "device_id=press-12\r\n"
      "  product =  press \n"
      "groups = plant-7/line-a, plant-7, beta,plant-7\n"
      "; TLS\n"
      "server = ssl://broker.example:8883\n"
      "username = press-12\npassword_file = /etc/instar/password\nenrolment_token_file = /etc/instar/token\n"
      "ca_file = /etc/instar/ca.pem\ncertificate_file = /etc/instar/cert.pem\nkey_file = /etc/instar/key.pem\n"
      "prefix = acme/updates\nkeepalive_s = 300\nreconnect_s_max = 10\nmetered = yes\n"
      "window_bytes_max = 65536\npiece_bytes_max = 4096\nroot_file = /etc/instar/root\nstate_dir = /data/instar/\n"
      "lxc_keys_allowed = lxc.mount.entry, lxc.net.*\ndevices_allowed = no\ncontainer_network = bridge:lxcbr0\n"
      "stop_timeout_s = 3\nbroker_grace_s = 60\nlxc_helper = /usr/libexec/instar/instar-lxc\nlog_level = 7",
      "device.conf");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->groups.size(), 3U) << "a group named twice counts once";
  EXPECT_EQ(config->topics.prefix(), "acme/updates");
  EXPECT_EQ(config->keepalive_s, 300U);
  EXPECT_EQ(config->reconnect_s_max, 10U);
  EXPECT_TRUE(config->metered);
  EXPECT_EQ(config->window_bytes_max, 65'536U);
  EXPECT_EQ(config->piece_bytes_max, 4'096U);
  EXPECT_EQ(config->state_dir, "/data/instar");
  EXPECT_THAT(config->lxc_keys_allowed, ::testing::ElementsAre("lxc.mount.entry", "lxc.net.*"));
  EXPECT_EQ(config->network, Network::bridge);
  EXPECT_EQ(config->bridge, "lxcbr0");
  EXPECT_EQ(config->stop_timeout_s, 3U);
  EXPECT_EQ(config->broker_grace_s, 60U);
  EXPECT_EQ(config->log_level, LogLevel::debug);
  EXPECT_EQ(config->username, "press-12");
  EXPECT_EQ(config->enrolment_token_file, "/etc/instar/token");
  EXPECT_EQ(config->certificate_file, "/etc/instar/cert.pem");
}

TEST(Config, SaysWhatTheClockIs) {
  const std::string needed = "device_id = d\nproduct = p\ngroups = g\nserver = tcp://x:1\n";
  const auto clock_of = [&](const std::string& lines) { return parse_config(needed + lines, "device.conf"); };
  EXPECT_EQ(clock_of("")->clock, ClockSetting::automatic);
  EXPECT_EQ(clock_of("")->silence_days, 7U);
  EXPECT_EQ(clock_of("clock = auto\n")->clock, ClockSetting::automatic);
  EXPECT_EQ(clock_of("clock = trusted\n")->clock, ClockSetting::trusted);
  EXPECT_EQ(clock_of("clock = free\n")->clock, ClockSetting::free);
  EXPECT_EQ(clock_of("clock = none\nsilence_days = 0\n")->clock, ClockSetting::none);
  EXPECT_EQ(clock_of("silence_days = 0\n")->silence_days, 0U);
  EXPECT_THAT(mistake("clock = sundial\n").message, HasSubstr("must be auto, trusted, free or none"));
  EXPECT_THAT(mistake("silence_days = 3651\n").message, HasSubstr("from 0 to 3650"));
}

TEST(Config, NamesFileAndLineOfAMistake) {
  const auto error = mistake("nonsense = 1\n");
  EXPECT_EQ(error.code, Code::invalid_argument);
  EXPECT_THAT(error.message, HasSubstr("device.conf:5: unknown key \"nonsense\""));
  EXPECT_THAT(error.message, HasSubstr("state_dir")) << "and lists the keys there are";
  EXPECT_THAT(mistake("\n\nmetered = maybe\n").message, HasSubstr("device.conf:7: metered = maybe: must be yes or no"));
  EXPECT_THAT(mistake("just words\n").message, HasSubstr("expected \"key = value\""));
  EXPECT_THAT(mistake("metered =\n").message, HasSubstr("no value"));
  EXPECT_THAT(mistake("product = other\n").message, HasSubstr("second time"));
}

TEST(Config, TellsAllMistakesAtOnce) {
  const auto config = parse_config("keepalive_s = 1\nfoo = 2\n", "x");
  ASSERT_FALSE(config.has_value());
  for (const char* part : {"x:1: keepalive_s", "x:2: unknown key", "device_id is missing", "product is missing",
                           "groups is missing", "server is missing"})
    EXPECT_THAT(config.error().message, HasSubstr(part));
}

TEST(Config, RefusesBadValues) {
  for (const char* bad : {"keepalive_s = 4",
                          "keepalive_s = 65536",
                          "keepalive_s = -60",
                          "keepalive_s = 60s",
                          "keepalive_s = 99999999999",
                          "log_level = 2",
                          "state_dir = relative/path",
                          "state_dir = /with space",
                          "state_dir = /with:colon",
                          "state_dir = /with,comma",
                          "state_dir = /a/../b",
                          "state_dir = /a/..",
                          "piece_bytes_max = 100",
                          "piece_bytes_max = 1000000",
                          "window_bytes_max = 1000000",
                          "window_bytes_max = 1024",
                          "container_network = nat",
                          "container_network = bridge:",
                          "container_network = bridge:a/b",
                          "container_network = bridge:much-too-long-name",
                          "lxc_keys_allowed = mount.entry",
                          "prefix = a/#",
                          "certificate_file = /x",
                          "password_file = /x",
                          "devices_allowed = 2"})
    EXPECT_EQ(mistake(std::string(bad) + "\n").code, Code::invalid_argument) << bad;
}

TEST(Config, WebSocketIsRefusedInWords) {
  for (const char* server : {"ws://broker.example:9001", "wss://broker.example:9001"}) {
    const auto config =
        parse_config("device_id = d\nproduct = p\ngroups = g\nserver = " + std::string(server) + "\n", "x");
    ASSERT_FALSE(config.has_value());
    EXPECT_THAT(config.error().message, HasSubstr("x:4: server = "));
    EXPECT_THAT(config.error().message, HasSubstr("WebSocket"));
  }
}

TEST(Config, SecretsGoToAnotherMachineOverTlsOnly) {
  const auto of = [](const std::string& server, const std::string& more) {
    return parse_config("device_id = d\nproduct = p\ngroups = g\nserver = " + server + "\n" + more, "x");
  };
  const std::string password = "username = u\npassword_file = /p\n";
  EXPECT_TRUE(of("ssl://broker.example", password + "ca_file = /ca\n").has_value());
  EXPECT_TRUE(of("tcp://127.0.0.1:1883", password).has_value());
  EXPECT_TRUE(of("tcp://broker.example", "username = u\n").has_value()) << "a name alone is no secret";
  EXPECT_TRUE(of("tcp://broker.example", password + "allow_plain_password = yes\n").has_value());
  for (const auto& config : {of("tcp://broker.example", password), of("tcp://localhost", "ca_file = /ca\n"),
                             of("tcp://localhost", "certificate_file = /c\nkey_file = /k\n")}) {
    ASSERT_FALSE(config.has_value());
    EXPECT_THAT(config.error().message, HasSubstr("allow_plain_password = yes"));
    EXPECT_THAT(config.error().message, HasSubstr("ssl://HOST:8883"));
  }
}

TEST(Config, RefusesBadIdentities) {
  for (const char* bad : {"device_id = a/b\nproduct = p\ngroups = g\nserver = tcp://x:1",
                          "device_id = a\nproduct = p/q\ngroups = g\nserver = tcp://x:1",
                          "device_id = a\nproduct = p.2\ngroups = g\nserver = tcp://x:1",
                          "device_id = a\nproduct = p\ngroups = g/+\nserver = tcp://x:1",
                          "device_id = a\nproduct = p\ngroups = ,\nserver = tcp://x:1",
                          "device_id = a\nproduct = p\ngroups = g\nserver = x:1",
                          "device_id = a\nproduct = p\ngroups = g\nserver = tcp://"})
    EXPECT_FALSE(parse_config(bad, "x").has_value()) << bad;
}

std::string read_source(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(INSTAR_SOURCE_DIR "/" + path).rdbuf();
  return text.str();
}

// "unknown key …; the keys are a, b, c"
std::vector<std::string> all_keys() {
  std::string text = mistake("nonsense = 1\n").message;
  text = text.substr(text.find("the keys are ") + 13);
  std::istringstream words(text);
  std::vector<std::string> keys;
  for (std::string word; std::getline(words, word, ',');) keys.push_back(word.substr(word.find_first_not_of(' ')));
  return keys;
}

TEST(Config, TheExampleWorksAndItsCommentsShowTheDefaults) {
  const std::string example = read_source("deploy/device.conf");
  const auto config = parse_config(example, "deploy/device.conf");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  std::string everything;
  std::istringstream lines(example);
  for (std::string line; std::getline(lines, line);)
    everything += (line.starts_with("#") && line.find(" = ") < 30 ? line.substr(1) : line) + "\n";
  const auto shown = parse_config(everything, "all of it");
  ASSERT_TRUE(shown.has_value()) << shown.error().message;
  EXPECT_EQ(shown->keepalive_s, config->keepalive_s);
  EXPECT_EQ(shown->reconnect_s_max, config->reconnect_s_max);
  EXPECT_EQ(shown->allow_plain_password, config->allow_plain_password);
  EXPECT_EQ(shown->metered, config->metered);
  EXPECT_EQ(shown->window_bytes_max, config->window_bytes_max);
  EXPECT_EQ(shown->piece_bytes_max, config->piece_bytes_max);
  EXPECT_EQ(shown->root_file, config->root_file);
  EXPECT_EQ(shown->state_dir, config->state_dir);
  EXPECT_EQ(shown->devices_allowed, config->devices_allowed);
  EXPECT_EQ(shown->network, config->network);
  EXPECT_EQ(shown->stop_timeout_s, config->stop_timeout_s);
  EXPECT_EQ(shown->broker_grace_s, config->broker_grace_s);
  EXPECT_EQ(shown->log_level, config->log_level);
  EXPECT_EQ(shown->topics.prefix(), config->topics.prefix());
}

TEST(Config, ThePageNamesEveryKey) {
  const std::string page = read_source("docs/device.md");
  const auto keys = all_keys();
  EXPECT_GT(keys.size(), 20U);
  for (const auto& key : keys) EXPECT_THAT(page, HasSubstr("`" + key + "`"));
}

}  // namespace
}  // namespace instar::device
