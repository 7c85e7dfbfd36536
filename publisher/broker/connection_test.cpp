#include "publisher/broker/connection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

TEST(ServerUri, TakesSchemesHostsAndPorts) {
  EXPECT_EQ(server_uri("mqtt://localhost"), "tcp://localhost:1883");
  EXPECT_EQ(server_uri("mqtt://localhost:1884/"), "tcp://localhost:1884");
  EXPECT_EQ(server_uri("mqtts://broker.example.org"), "ssl://broker.example.org:8883");
  EXPECT_EQ(server_uri("tcp://10.0.0.1:99"), "tcp://10.0.0.1:99");
  EXPECT_EQ(server_uri("ssl://h:1"), "ssl://h:1");
  EXPECT_EQ(server_uri("broker"), "tcp://broker:1883");
  EXPECT_EQ(server_uri("mqtt://[::1]"), "tcp://[::1]:1883");
  EXPECT_EQ(server_uri("mqtt://[::1]:1884"), "tcp://[::1]:1884");
}

TEST(ServerUri, RefusesEverythingElse) {
  for (const auto* text : {"", "mqtt://", "http://x", "mqtt://h:0", "mqtt://h:65536", "mqtt://h:x", "mqtt://user@h",
                           "mqtt://a/b", "mqtt://::1", "mqtt://h:", "mqtt://a b"}) {
    const auto uri = server_uri(text);
    ASSERT_FALSE(uri) << text;
    EXPECT_EQ(uri.error().code, Code::invalid_argument);
  }
  EXPECT_EQ(server_uri("wss://h").error().code, Code::unsupported);
  EXPECT_THAT(server_uri("wss://h").error().message, HasSubstr("mqtts://"));
}

TEST(Config, TakesKeysAndComments) {
  const auto options = parse_config("# mine\n\n broker = mqtts://b \r\nusername=alice\ntimeout = 5s", "config");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->connection.broker, "mqtts://b");
  EXPECT_EQ(options->connection.username, "alice");
  EXPECT_EQ(options->connection.timeout, "5s");
  EXPECT_FALSE(options->connection.ca);
}

TEST(Config, TakesWhatEachReleaseNeeds) {
  const auto config =
      parse_config("root = r\nkey = a.key\nkey = b.key\nproduct = gateway\ngroup = plant-7\ngroup = plant-9", "config");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->release.root, "r");
  EXPECT_THAT(config->release.keys, testing::ElementsAre("a.key", "b.key"));
  EXPECT_EQ(config->release.product, "gateway");
  EXPECT_THAT(config->release.groups, testing::ElementsAre("plant-7", "plant-9"));
}

TEST(Config, ErrorsNameTheLine) {
  EXPECT_THAT(parse_config("broker = b\nport = 1", "config").error().message,
              HasSubstr("config, line 2: unknown key 'port'"));
  EXPECT_THAT(parse_config("broker", "config").error().message, HasSubstr("line 1"));
}

class Settle : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto* name : {"INSTAR_BROKER", "INSTAR_USERNAME", "INSTAR_PASSWORD_FILE", "INSTAR_PREFIX"})
      ::unsetenv(name);
    ::setenv("XDG_CONFIG_HOME", folder_.path().c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("INSTAR_BROKER");
    ::unsetenv("XDG_CONFIG_HOME");
  }
  void write(const std::string& name, std::string_view text) const {
    ASSERT_TRUE(files::make_folders(folder_ / "instar"));
    ASSERT_TRUE(files::write_file_atomic(folder_ / name, as_bytes(text)));
  }
  files::TemporaryFolder folder_;
};

TEST_F(Settle, FlagsOverrideEnvironmentOverridesConfigOverridesDefaults) {
  EXPECT_EQ(settle({})->broker, "mqtt://localhost:1883");
  EXPECT_EQ(settle({})->timeout_ms, 30'000);
  EXPECT_EQ(settle({})->prefix, "instar/v1");
  write("instar/config", "broker = mqtt://config\nprefix = plant/v1\n");
  EXPECT_EQ(settle({})->broker, "mqtt://config");
  EXPECT_EQ(settle({})->prefix, "plant/v1");
  ::setenv("INSTAR_BROKER", "mqtt://environment", 1);
  EXPECT_EQ(settle({})->broker, "mqtt://environment");
  ConnectionOptions flags;
  flags.broker = "mqtt://flag";
  EXPECT_EQ(settle(flags)->server_uri, "tcp://flag:1883");
  EXPECT_EQ(settle(flags)->prefix, "plant/v1");
}

TEST_F(Settle, AConfigFileThatIsNamedMustExist) {
  ConnectionOptions flags;
  flags.config_path = folder_ / "none";
  const auto connection = settle(flags);
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code, Code::not_found);
}

TEST_F(Settle, PathsInAConfigFileAreRelativeToIt) {
  write("instar/config", "root = keys/root.instar\nkey = /k\nkey = ~/release.key\nca = ca.pem\n");
  ::setenv("HOME", "/srv/alice", 1);
  const auto config = load_config("");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->release.root, folder_ / "instar/keys/root.instar");
  EXPECT_THAT(config->release.keys, testing::ElementsAre("/k", "/srv/alice/release.key"));
  EXPECT_EQ(config->connection.ca, folder_ / "instar/ca.pem");
}

TEST_F(Settle, ThePasswordIsTheFirstLine) {
  write("password", "se cret\r\nsecond\n");
  ASSERT_EQ(::chmod((folder_ / "password").c_str(), 0600), 0);
  ConnectionOptions flags;
  flags.username = "alice";
  flags.password_file = folder_ / "password";
  EXPECT_EQ(settle(flags)->password, "se cret");
  flags.username.reset();
  EXPECT_FALSE(settle(flags));
  flags.username = "alice";
  ASSERT_EQ(::chmod((folder_ / "password").c_str(), 0640), 0);
  EXPECT_THAT(settle(flags)->warning, HasSubstr("can be read by others than its owner: run chmod 600"));
  ASSERT_EQ(::chmod((folder_ / "password").c_str(), 0620), 0);
  EXPECT_EQ(settle(flags).error().code, Code::refused);
  EXPECT_THAT(settle(flags).error().message, HasSubstr("chmod 600"));
}

TEST_F(Settle, SecretsGoToAnotherMachineOverTlsOnly) {
  write("password", "secret\n");
  ASSERT_EQ(::chmod((folder_ / "password").c_str(), 0600), 0);
  ConnectionOptions flags;
  flags.username = "alice";
  flags.password_file = folder_ / "password";
  for (const auto* broker : {"mqtt://127.0.0.1", "localhost", "mqtt://[::1]:1884", "mqtts://broker.example"}) {
    flags.broker = broker;
    EXPECT_TRUE(settle(flags)) << broker;
  }
  for (const auto* broker : {"mqtt://broker.example", "10.0.0.1", "mqtt://127.example.org"}) {
    flags.broker = broker;
    flags.allow_plain.reset();
    const auto refused = settle(flags);
    ASSERT_FALSE(refused) << broker;
    EXPECT_EQ(refused.error().code, Code::refused);
    EXPECT_THAT(refused.error().message, HasSubstr("unencrypted"));
    EXPECT_THAT(refused.error().message, HasSubstr("--allow-plain"));
    flags.allow_plain = "yes";
    EXPECT_TRUE(settle(flags)) << broker;
  }
  write("instar/config", "allow-plain = yes\n");
  flags.allow_plain.reset();
  EXPECT_TRUE(settle(flags));
  flags.allow_plain = "maybe";
  EXPECT_FALSE(settle(flags));
}

TEST_F(Settle, TlsOptionsMustFitTogether) {
  ConnectionOptions flags;
  flags.ca = "ca.pem";
  EXPECT_THAT(settle(flags).error().message, HasSubstr("mqtts://"));
  flags.broker = "mqtts://b";
  EXPECT_TRUE(settle(flags));
  flags.certificate = "c.pem";
  EXPECT_THAT(settle(flags).error().message, HasSubstr("--key-file"));
  write("k.pem", "key");
  flags.key_file = folder_ / "k.pem";
  ASSERT_EQ(::chmod((folder_ / "k.pem").c_str(), 0644), 0);
  EXPECT_THAT(settle(flags).error().message, HasSubstr("chmod 600"));
  ASSERT_EQ(::chmod((folder_ / "k.pem").c_str(), 0600), 0);
  const auto connection = settle(flags);
  ASSERT_TRUE(connection);
  const auto options = mqtt_options(*connection, "op-1");
  EXPECT_EQ(options.client_id, "op-1");
  EXPECT_TRUE(options.clean_session);
  EXPECT_EQ(options.ca_file, "ca.pem");
}

}  // namespace
}  // namespace instar::publisher
