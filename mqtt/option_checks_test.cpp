#include "mqtt/option_checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::mqtt {
namespace {

Options options_for(std::string uri) {
  Options options;
  options.server_uri = std::move(uri);
  return options;
}

TEST(OptionChecks, AServerIsAUri) {
  EXPECT_TRUE(check_options(options_for("tcp://localhost:1883")).has_value());
  const auto status = check_options(options_for("localhost"));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::invalid_argument);
  EXPECT_THAT(status.error().message, ::testing::HasSubstr("tcp://HOST:1883"));
}

TEST(OptionChecks, AFileThatCannotBeReadIsNamed) {
  auto options = options_for("ssl://localhost:8883");
  options.key_file = "/nonexistent/key.pem";
  const auto status = check_options(options);
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, ::testing::HasSubstr("/nonexistent/key.pem"));
}

TEST(OptionChecks, KeepaliveFitsTheTwoBytesOfItsField) {
  auto options = options_for("tcp://localhost:1883");
  for (const std::uint32_t seconds : {0U, 65536U}) {
    options.keepalive_s = seconds;
    EXPECT_FALSE(check_options(options).has_value()) << seconds;
  }
  options.keepalive_s = 65535;
  EXPECT_TRUE(check_options(options).has_value());
}

TEST(OptionChecks, TheSchemeSaysWhetherThereIsTls) {
  EXPECT_TRUE(uses_tls(options_for("ssl://a:1")));
  EXPECT_TRUE(uses_tls(options_for("mqtts://a:1")));
  EXPECT_FALSE(uses_tls(options_for("tcp://a:1")));
  EXPECT_EQ(endpoint_of("ssl://a.example:8883"), "a.example:8883");
  EXPECT_EQ(endpoint_of("a"), "a");
}

}  // namespace
}  // namespace instar::mqtt
