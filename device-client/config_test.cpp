#include "device-client/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::device {
namespace {

using ::testing::HasSubstr;

const std::string kLeast = "device_id = press-12\nproduct = press\ngroups = plant-7/line-a\nserver = tcp://localhost:1883\n";

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
      "username = press-12\npassword_file = /etc/instar/password\n"
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
  EXPECT_EQ(config->log_level, 7);
  EXPECT_EQ(config->username, "press-12");
  EXPECT_EQ(config->certificate_file, "/etc/instar/cert.pem");
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
  for (const char* part :
       {"x:1: keepalive_s", "x:2: unknown key", "device_id is missing", "product is missing", "groups is missing", "server is missing"})
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

TEST(Config, RefusesBadIdentities) {
  for (const char* bad :
       {"device_id = a/b\nproduct = p\ngroups = g\nserver = tcp://x:1", "device_id = a\nproduct = p/q\ngroups = g\nserver = tcp://x:1",
        "device_id = a\nproduct = p\ngroups = g/+\nserver = tcp://x:1", "device_id = a\nproduct = p\ngroups = ,\nserver = tcp://x:1",
        "device_id = a\nproduct = p\ngroups = g\nserver = x:1", "device_id = a\nproduct = p\ngroups = g\nserver = tcp://"})
    EXPECT_FALSE(parse_config(bad, "x").has_value()) << bad;
}

}  // namespace
}  // namespace instar::device
