#include "core/base/server_uri.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar {
namespace {

using ::testing::HasSubstr;

TEST(ServerUri, TakesSchemesHostsAndPorts) {
  for (const auto& [text, uri] : {std::pair{"mqtt://localhost", "tcp://localhost:1883"},
                                  {"mqtt://localhost:1884/", "tcp://localhost:1884"},
                                  {"mqtts://broker.example.org", "ssl://broker.example.org:8883"},
                                  {"tcp://10.0.0.1:99", "tcp://10.0.0.1:99"},
                                  {"ssl://h:1", "ssl://h:1"},
                                  {"mqtt://[::1]", "tcp://[::1]:1883"},
                                  {"tcp://[fe80::1]:1884", "tcp://[fe80::1]:1884"}}) {
    const auto server = parse_server_uri(text);
    ASSERT_TRUE(server.has_value()) << text;
    EXPECT_EQ(server->str(), uri);
    EXPECT_EQ(parse_server_uri(server->str())->str(), uri) << "what is written can be read";
  }
}

TEST(ServerUri, RefusesEverythingElse) {
  for (const char* text : {"", "h", "h:1883", "mqtt://", "http://x", "mqtt://h:0", "mqtt://h:65536", "mqtt://h:x",
                           "mqtt://h:-1", "mqtt://user@h", "mqtt://a/b", "mqtt://::1", "mqtt://h:", "mqtt://a b",
                           "mqtt://[]", "mqtt://[::1", "mqtt://a]:1", "MQTT://h", "://h"}) {
    const auto server = parse_server_uri(text);
    ASSERT_FALSE(server.has_value()) << text;
    EXPECT_EQ(server.error().code, Code::invalid_argument) << text;
  }
}

TEST(ServerUri, WebSocketIsRefusedWithWhatToUse) {
  for (const auto& [text, use] :
       {std::pair{"ws://h:9001", "mqtt://HOST:1883"}, {"wss://h/mqtt", "mqtts://HOST:8883"}}) {
    const auto server = parse_server_uri(text);
    ASSERT_FALSE(server.has_value());
    EXPECT_EQ(server.error().code, Code::unsupported);
    EXPECT_THAT(server.error().message, HasSubstr(use));
    EXPECT_THAT(server.error().message, HasSubstr("WebSocket"));
  }
}

TEST(ServerUri, LoopbackIsThisMachineAndNoNameThatLooksLikeIt) {
  for (const char* text : {"tcp://localhost", "tcp://127.0.0.1", "tcp://127.1.2.3:99", "mqtt://[::1]:1"})
    EXPECT_TRUE(parse_server_uri(text)->is_loopback()) << text;
  for (const char* text : {"tcp://127.0.0.1.example.org", "tcp://127.evil.example.org", "tcp://127.0.0",
                           "tcp://127.0.0.256", "tcp://127.0.0.1x", "tcp://127..0.1", "tcp://localhost.example.org",
                           "tcp://10.0.0.1", "tcp://[::2]", "tcp://128.0.0.1", "tcp://127.0.0.0001"})
    EXPECT_FALSE(parse_server_uri(text)->is_loopback()) << text;
}

TEST(ServerUri, APasswordGoesUnencryptedToThisMachineOnly) {
  const auto refused = [](const char* text, ConnectionSecrets secrets) {
    return !check_plain(*parse_server_uri(text), secrets).has_value();
  };
  EXPECT_TRUE(refused("tcp://broker", {.password = true}));
  EXPECT_FALSE(refused("ssl://broker", {.password = true, .tls_files = true}));
  EXPECT_FALSE(refused("tcp://localhost", {.password = true}));
  EXPECT_FALSE(refused("tcp://broker", {}));
  EXPECT_TRUE(refused("tcp://broker", {.tls_files = true}));
  EXPECT_TRUE(refused("tcp://localhost", {.tls_files = true})) << "who names a CA wants TLS";
}

}  // namespace
}  // namespace instar
