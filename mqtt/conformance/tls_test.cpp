// TLS: who is trusted, and the errors for others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "mqtt/testing/client_fixture.hpp"

namespace instar::mqtt {
namespace {

using wire::Qos;

// A CA, a certificate of localhost and one of a client that it signed, and another CA.
class Tls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    files = std::make_unique<BrokerFixture>();
    const std::string make =
        "set -e; cd " + files->folder() +
        "; key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'"
        "; for ca in ca other; do openssl req -x509 $key -keyout $ca.key -out $ca.pem -subj /CN=test-$ca -days 2; done"
        "; for name in localhost device; do"
        "    openssl req $key -keyout $name.key -out $name.csr -subj /CN=$name;"
        "    openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $name.pem -days 2; done";
    ASSERT_EQ(std::system(("(" + make + ") 2> " + files->folder() + "/openssl.log").c_str()), 0);
  }
  static void TearDownTestSuite() { files.reset(); }

  static std::string file(const std::string& name) { return files->folder() + "/" + name; }
  static std::string broker_lines() {
    return "allow_anonymous true\ncafile " + file("ca.pem") + "\ncertfile " + file("localhost.pem") + "\nkeyfile " +
           file("localhost.key") + "\n";
  }
  static Options trusting(const std::string& ca, const BrokerFixture& broker, const std::string& host = "localhost") {
    auto options = options_for(broker.uri("ssl", host), "tls");
    options.ca_file = file(ca);
    return options;
  }

  static std::unique_ptr<BrokerFixture> files;  // only its folder is used
};
std::unique_ptr<BrokerFixture> Tls::files;

TEST_F(Tls, CarriesMessagesAndComesBack) {
  BrokerFixture broker(broker_lines());
  broker.start();
  auto options = trusting("ca.pem", broker);
  options.subscriptions = {{"big", Qos::at_least_once}};
  const auto client = connected_client(options);
  for (int round = 0; round < 2; ++round) {
    const std::string payload(100'000, 'p');
    ASSERT_TRUE(client->publish(text("big", payload)).has_value());
    EXPECT_EQ(next_text(*client, "big"), payload);
    broker.kill();
    ASSERT_TRUE(wait_for(*client, EventKind::disconnected));
    broker.start();
    ASSERT_TRUE(wait_for(*client, EventKind::connected));
  }
}

TEST_F(Tls, AnUnknownCaIsNamed) {
  BrokerFixture broker(broker_lines());
  broker.start();
  EXPECT_TRUE(fails_with(trusting("other.pem", broker), "the broker's certificate is signed by an unknown CA"));
  auto options = trusting("ca.pem", broker);
  options.ca_file.clear();  // then those of the system are trusted
  EXPECT_TRUE(fails_with(options, "the broker's certificate is signed by an unknown CA"));
}

TEST_F(Tls, AnotherHostNameIsNamed) {
  BrokerFixture broker(broker_lines());
  broker.start();
  EXPECT_TRUE(fails_with(
      trusting("ca.pem", broker, "127.0.0.1"),
      "the broker's certificate is for another host name than that in 127.0.0.1:" + std::to_string(broker.port())));
}

TEST_F(Tls, WhatIsWrongWithACertificateIsExplained) {
  BrokerFixture broker(broker_lines());
  broker.start();
  const auto explained = [](const Options& options) {
    const auto client = make_client(options);
    EXPECT_TRUE(client->start().has_value());
    auto event = wait_for(*client, EventKind::explained);
    return event ? std::move(*event) : Event{EventKind::explained, {}, "(nothing)"};
  };
  auto event = explained(trusting("other.pem", broker));
  EXPECT_EQ(event.fault, Fault::unknown_ca);
  EXPECT_THAT(event.reason, ::testing::HasSubstr("unknown CA: test-ca. "));
  event = explained(trusting("ca.pem", broker, "127.0.0.1"));
  EXPECT_EQ(event.fault, Fault::other_host);
  EXPECT_THAT(event.reason, ::testing::HasSubstr("is for localhost, not for 127.0.0.1. "));
  EXPECT_EQ(explained(options_for(broker, "plain")).fault, Fault::tls_there);
}

TEST_F(Tls, NobodyListens) {
  const BrokerFixture broker(broker_lines());  // not started
  EXPECT_TRUE(fails_with(trusting("ca.pem", broker), "nobody answers at localhost:" + std::to_string(broker.port())));
}

TEST_F(Tls, APortWithoutTlsIsNamed) {
  BrokerFixture broker;
  broker.start();
  EXPECT_TRUE(fails_with(trusting("ca.pem", broker), "localhost:" + std::to_string(broker.port()) +
                                                         " ended the TLS handshake: is it a port with TLS?"));
}

TEST_F(Tls, ABrokerWithTlsHangsUpOnAClientWithout) {
  BrokerFixture broker(broker_lines());
  broker.start();
  EXPECT_TRUE(fails_with(options_for(broker, "plain"),
                         "localhost:" + std::to_string(broker.port()) + " closed the connection without an answer"));
}

TEST_F(Tls, TheClientShowsItsCertificateWhenAskedFor) {
  BrokerFixture broker(broker_lines() + "require_certificate true\n");
  broker.start();
  auto options = trusting("ca.pem", broker);
  const auto without = make_client(options);
  ASSERT_TRUE(without->start().has_value());
  EXPECT_NE(next_failure(*without), "(connected)");  // why, depends on whether the alert or the end comes first
  const auto explained = wait_for(*without, EventKind::explained);
  ASSERT_TRUE(explained);
  EXPECT_EQ(explained->fault, Fault::client_certificate_missing);
  without->stop(0);
  options.certificate_file = file("device.pem");
  options.key_file = file("device.key");
  EXPECT_TRUE(connected_client(options)->is_connected());
}

}  // namespace
}  // namespace instar::mqtt
