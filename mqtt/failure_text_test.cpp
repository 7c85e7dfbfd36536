#include "mqtt/failure_text.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace instar::mqtt {
namespace {

const ConnectFailure kNoConnection{-1, "TCP/TLS connect failure"};

Options broker() {
  Options options;
  options.server_uri = "ssl://broker.example:8883";
  return options;
}

std::string text_after(std::string_view line, const ConnectFailure& failure = kNoConnection) {
  forget_traced_causes();
  note_traced(line);
  return failure_text(failure, broker());
}

TEST(FailureText, NamesTheBrokersAnswer) {
  EXPECT_EQ(failure_text({4, "CONNACK return code"}, broker()), "the broker refused the user name or password");
  EXPECT_EQ(failure_text({5, "CONNACK return code"}, broker()), "the broker does not authorize this client");
}

TEST(FailureText, OfTheBrokersAnswerLeadsBackToItsCode) {
  for (int code = 1; code <= 5; ++code) EXPECT_EQ(connack_code_of(failure_text({code, ""}, broker())), code);
  EXPECT_EQ(connack_code_of("the connection was lost"), 0);
  EXPECT_EQ(connack_code_of(""), 0);
}

TEST(FailureText, NamesTheCauseThatWasTraced) {
  EXPECT_EQ(text_after("20261129 2317 SSL alert write:fatal:unknown CA"),
            "the broker's certificate is signed by an unknown CA");
  EXPECT_EQ(text_after("SSL alert write:fatal:certificate expired"),
            "the broker's certificate was refused: certificate expired");
  EXPECT_EQ(text_after("SSL alert read:fatal:handshake failure"),
            "the broker refused the TLS connection: handshake failure");
  EXPECT_EQ(text_after("X509_check_host for hostname broker.example failed, rc 0"),
            "the broker's certificate is for another host name than that in broker.example:8883");
  EXPECT_EQ(text_after("getaddrinfo failed for addr broker.example with rc -2", {-1, ""}),
            "the name in broker.example:8883 cannot be resolved");
  EXPECT_EQ(text_after("SSL handshake started before SSL initialization:x:y"),
            "broker.example:8883 ended the TLS handshake: is it a port with TLS?");
}

TEST(FailureText, AnAlertThatIsTooLongIsCut) {
  EXPECT_EQ(text_after("SSL alert write:fatal:" + std::string(100, 'x')),
            "the broker's certificate was refused: " + std::string(63, 'x'));
}

TEST(FailureText, WithoutACauseNamesTheStepThatFailed) {
  EXPECT_EQ(text_after("Connecting to serverURI"), "nobody answers at broker.example:8883");
  EXPECT_EQ(text_after("", {-1, "TCP connect timeout"}), "no answer from broker.example:8883 within 30 s");
  EXPECT_EQ(text_after("", {-1, "socket error"}), "broker.example:8883 closed the connection without an answer");
  EXPECT_EQ(text_after("", {-9, "Invalid QoS value"}), "Invalid QoS value");
}

TEST(FailureText, ACauseCountsOnceForItsOwnAttemptAndThread) {
  EXPECT_NE(text_after("SSL alert write:fatal:unknown CA"), "nobody answers at broker.example:8883");
  EXPECT_EQ(failure_text(kNoConnection, broker()), "nobody answers at broker.example:8883");
  note_traced("SSL alert write:fatal:unknown CA");
  EXPECT_EQ(text_after(""), "nobody answers at broker.example:8883");
  std::thread([] { note_traced("SSL alert write:fatal:unknown CA"); }).join();
  EXPECT_EQ(failure_text(kNoConnection, broker()), "nobody answers at broker.example:8883");
}

}  // namespace
}  // namespace instar::mqtt
