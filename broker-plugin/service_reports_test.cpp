// Hellos and reports: exactly once, in order, by the pinned key.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

using wire::Step;
using wire::TopicKind;

class Reports : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fixture_.start().has_value());
    rollout_ = fixture_.release(1, pack_);
    fixture_.hello(device_);
    fixture_.settle();
    fixture_.forget_published();
  }
  nlohmann::json counts() {
    return fixture_.command({{"command", "getRollout"}, {"rollout", rollout_.short_hex()}})["data"]["counts"];
  }
  std::uint64_t refused() {
    return fixture_.command({{"command", "getVersion"}})["data"]["messages_refused"].get<std::uint64_t>();
  }
  wire::Ack last_ack() {
    const auto acks = fixture_.acks(device_);
    EXPECT_FALSE(acks.empty());
    return acks.empty() ? wire::Ack{} : acks.back();
  }

  ServiceFixture fixture_;
  PackFixture pack_ = make_pack(1);
  FakeDevice device_{"gw-01"};
  ManifestId rollout_;
};

TEST_F(Reports, AreAckedWhenDurableAndNotBefore) {
  EXPECT_EQ(fixture_.report(device_, rollout_, Step::fetching), Verdict::consume);
  EXPECT_TRUE(fixture_.acks(device_).empty());
  fixture_.settle();
  EXPECT_EQ(last_ack().sequence, 1U);
  EXPECT_EQ(last_ack().code, Code::ok);
}

TEST_F(Reports, OfManyDevicesAreAckedAFewATurn) {
  std::vector<FakeDevice> devices;
  for (int i = 0; i < 20; ++i) devices.emplace_back("many-" + std::to_string(i), static_cast<std::uint8_t>(120 + i));
  for (auto& device : devices) fixture_.hello(device);
  fixture_.settle();
  fixture_.forget_published();
  for (auto& device : devices) fixture_.report(device, rollout_, Step::fetching);
  const auto acked = [&] {
    return std::ranges::count_if(devices, [&](const auto& device) { return !fixture_.acks(device).empty(); });
  };
  fixture_.tick();
  EXPECT_EQ(acked(), 8);
  EXPECT_TRUE(fixture_.service().has_more());
  fixture_.tick();
  EXPECT_EQ(acked(), 16);
  fixture_.tick();
  EXPECT_EQ(acked(), 20);
  EXPECT_FALSE(fixture_.service().has_more());
}

TEST_F(Reports, DuplicatesAreAckedAgainAndCountOnce) {
  const auto report = device_.report(rollout_, Step::fetching);
  for (int i = 0; i < 5; ++i) fixture_.from(device_, TopicKind::device_report, report);
  fixture_.settle();
  ASSERT_EQ(fixture_.acks(device_).size(), 1U) << "what becomes durable together is acked by one message";
  EXPECT_EQ(last_ack().sequence, 1U);
  fixture_.from(device_, TopicKind::device_report, report);
  fixture_.settle();
  EXPECT_EQ(fixture_.acks(device_).size(), 2U);
  EXPECT_EQ(counts()["fetching"], 1);
}

TEST_F(Reports, AnAckOfADuplicateWaitsForTheFirstToBeDurable) {
  fixture_.store().set_faults({.delay_polls = 3});
  const auto report = device_.report(rollout_, Step::fetching);
  fixture_.from(device_, TopicKind::device_report, report);
  fixture_.from(device_, TopicKind::device_report, report);
  for (int i = 0; i < 3; ++i) {
    fixture_.tick();
    EXPECT_TRUE(fixture_.acks(device_).empty());
  }
  fixture_.settle();
  EXPECT_EQ(last_ack().sequence, 1U);
}

TEST_F(Reports, GapsAreNotAppliedAndTheAckSaysWhereToGoOn) {
  const auto first = device_.report(rollout_, Step::fetching);
  const auto second = device_.report(rollout_, Step::trying);
  const auto third = device_.report(rollout_, Step::committed);
  fixture_.from(device_, TopicKind::device_report, third);
  fixture_.settle();
  EXPECT_EQ(last_ack().sequence, 0U);
  EXPECT_EQ(counts()["waiting"], 1);
  fixture_.from(device_, TopicKind::device_report, first);
  fixture_.from(device_, TopicKind::device_report, third);
  fixture_.from(device_, TopicKind::device_report, second);
  fixture_.settle();
  EXPECT_EQ(last_ack().sequence, 2U);
  EXPECT_EQ(counts()["trying"], 1);
  fixture_.from(device_, TopicKind::device_report, third);
  fixture_.settle();
  EXPECT_EQ(last_ack().sequence, 3U);
  EXPECT_EQ(counts()["committed"], 1);
}

TEST_F(Reports, ReasonsCannotForgeLinesOfTheLog) {
  auto report = device_.report_message(ManifestId{}, Step::refused, ++device_.last_sequence);
  report.code = Code::bad_signature;
  report.reason = "first\n5 device gw-99 is new; its key is pinned";
  fixture_.from(device_, TopicKind::device_report, device_.seal_report(report));
  fixture_.settle();
  EXPECT_TRUE(fixture_.broker().logged("first 5 device gw-99"));
  EXPECT_FALSE(fixture_.broker().logged("\n"));
}

TEST_F(Reports, OfAnotherClientAreRefused) {
  const auto report = device_.report(rollout_, Step::committed);
  EXPECT_EQ(fixture_.send("gw-02", fixture_.topics().device(device_.id, TopicKind::device_report), report),
            Verdict::refuse);
  EXPECT_EQ(fixture_.send("gw-02", fixture_.topics().device(device_.id, TopicKind::device_hello), device_.hello()),
            Verdict::refuse);
  EXPECT_EQ(fixture_.send("gw-02", fixture_.topics().device(device_.id, TopicKind::device_fetch), Bytes{1}),
            Verdict::refuse);
  EXPECT_EQ(fixture_.send("gw-02", fixture_.topics().device(device_.id, TopicKind::device_presence), Bytes{1}),
            Verdict::refuse);
  fixture_.settle();
  EXPECT_EQ(counts()["waiting"], 1);
}

TEST_F(Reports, SignedByAnotherKeyAreRefused) {
  FakeDevice forger("gw-01", 101);
  EXPECT_EQ(fixture_.report(forger, rollout_, Step::committed), Verdict::consume) << "nobody else reads it either";
  fixture_.settle();
  EXPECT_EQ(last_ack().code, Code::untrusted_key);
  EXPECT_EQ(counts()["waiting"], 1);
}

TEST_F(Reports, AboutAnotherDeviceAreRefused) {
  auto report = device_.report_message(rollout_, Step::committed, 1);
  report.device = device_id("gw-02");
  EXPECT_EQ(fixture_.from(device_, TopicKind::device_report, device_.seal_report(report)), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(last_ack().code, Code::refused);
}

TEST_F(Reports, WithAnyFlippedByteAreRefusedAndDisturbNobody) {
  const auto report = device_.report(rollout_, Step::committed);
  for (std::size_t at = 0; at < report.size(); ++at) {
    auto damaged = report;
    damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ 0x10);
    ASSERT_EQ(fixture_.from(device_, TopicKind::device_report, damaged), Verdict::consume);
    fixture_.tick(limits::kReportIntervalUs / 1'000);
    ASSERT_EQ(refused(), at + 1) << at;
  }
  EXPECT_EQ(fixture_.from(device_, TopicKind::device_report, report), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(counts()["committed"], 1);
}

TEST_F(Reports, OfADeviceThatNeverSaidHelloAreNotTaken) {
  FakeDevice stranger("gw-99");
  EXPECT_EQ(fixture_.report(stranger, rollout_, Step::committed), Verdict::consume);
  fixture_.settle();
  ASSERT_EQ(fixture_.acks(stranger).size(), 1U);
  EXPECT_EQ(fixture_.acks(stranger)[0].code, Code::not_found);
}

TEST_F(Reports, OverABridgeAreCheckedByTheirSignature) {
  const Sender bridge{"bridge-7", "", false};
  const auto topic = fixture_.topics().device(device_.id, TopicKind::device_report);
  EXPECT_EQ(fixture_.service().on_message(bridge, topic, device_.report(rollout_, Step::fetching),
                                          wire::Qos::at_least_once, wire::Retain::no, fixture_.now()),
            Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(last_ack().sequence, 1U);
}

TEST_F(Reports, AreLeftUnackedWhenTheStoreIsTooFarBehind) {
  fixture_.store().set_faults({.delay_polls = 1'000'000});
  // Fill the store's queue without the service's help.
  for (std::size_t i = 0; i < limits::kStoreQueueMax; ++i) fixture_.store().commit({}, {});
  EXPECT_EQ(fixture_.report(device_, rollout_, Step::fetching), Verdict::refuse);
  EXPECT_TRUE(fixture_.acks(device_).empty());
}

TEST_F(Reports, AHelloWithAnotherKeyIsRefusedUntilTheDeviceIsForgotten) {
  FakeDevice renewed("gw-01", 101);
  EXPECT_EQ(fixture_.hello(renewed), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(last_ack().code, Code::untrusted_key);
  EXPECT_NE(last_ack().reason.find("forget"), std::string::npos);
  EXPECT_TRUE(fixture_.command({{"command", "forgetDevice"}, {"device", "gw-01"}}).contains("error") == false);
  EXPECT_EQ(fixture_.hello(renewed), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(last_ack().code, Code::ok);
  EXPECT_EQ(fixture_.report(renewed, rollout_, Step::committed), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(counts()["committed"], 1);
}

TEST_F(Reports, AHelloWithAnyFlippedByteIsRefused) {
  FakeDevice fresh("gw-50", 50);
  const auto hello = fresh.hello();
  for (std::size_t at = 0; at < hello.size(); ++at) {
    auto damaged = hello;
    damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ 0x04);
    ASSERT_EQ(fixture_.from(fresh, TopicKind::device_hello, damaged), Verdict::consume);
    fixture_.tick(limits::kHelloIntervalUs / 1'000);
    ASSERT_EQ(refused(), at + 1) << at;
  }
  EXPECT_EQ(fixture_.command({{"command", "getDevice"}, {"device", "gw-50"}}).contains("error"), true);
}

TEST_F(Reports, AHelloOfAnotherDeviceIsRefused) {
  FakeDevice one("gw-60", 60);
  FakeDevice two("gw-61", 61);
  fixture_.from(one, TopicKind::device_hello, two.hello());
  EXPECT_EQ(refused(), 1U);
}

TEST_F(Reports, AHelloRestoresTheReportNumberAfterALostStore) {
  FakeDevice old("gw-70", 70);
  old.last_sequence = 9;
  old.acked = 8;
  fixture_.hello(old);
  fixture_.settle();
  EXPECT_EQ(fixture_.acks(old).back().sequence, 8U);
  fixture_.from(old, TopicKind::device_report, old.seal_report(old.report_message(rollout_, Step::committed, 9)));
  fixture_.settle();
  EXPECT_EQ(fixture_.acks(old).back().sequence, 9U);
}

TEST_F(Reports, StatusComesAtMostOnceASecondAndAlwaysInTheEnd) {
  for (int i = 0; i < 2; ++i) {
    fixture_.tick(1'000);
    fixture_.settle();
  }
  fixture_.forget_published();
  const auto topic = fixture_.topics().status(rollout_.short_hex());
  std::vector<FakeDevice> devices;
  for (int i = 0; i < 20; ++i) devices.emplace_back("d" + std::to_string(i), 100 + i);
  for (auto& device : devices) {
    fixture_.hello(device);
    fixture_.report(device, rollout_, Step::committed);
    fixture_.settle();
  }
  fixture_.report(device_, rollout_, Step::committed);
  fixture_.settle();
  EXPECT_EQ(fixture_.broker().on(topic).size(), 1U);
  fixture_.tick(999);
  fixture_.settle();
  EXPECT_EQ(fixture_.broker().on(topic).size(), 1U);
  fixture_.tick(1);
  fixture_.settle();
  EXPECT_EQ(fixture_.broker().on(topic).size(), 2U);
  EXPECT_EQ(fixture_.status(rollout_)["counts"]["committed"], 21);
  EXPECT_EQ(fixture_.status(rollout_)["state"], "complete");
  fixture_.tick(10'000);
  fixture_.settle();
  EXPECT_EQ(fixture_.broker().on(topic).size(), 2U) << "nothing new, nothing said";
}

TEST_F(Reports, PresenceIsRoutedAndAFetchOfAnUnknownDeviceIsNotServed) {
  EXPECT_EQ(fixture_.from(device_, TopicKind::device_presence, to_bytes("online")), Verdict::route);
  FakeDevice stranger("gw-99");
  wire::Fetch fetch;
  fetch.session = 1;
  fetch.pack = pack_.id;
  fetch.ranges = {{0, 1, 0}};
  fetch.window_bytes = 65'536;
  EXPECT_EQ(fixture_.fetch(stranger, fetch), Verdict::refuse);
  EXPECT_EQ(fixture_.from(device_, TopicKind::device_fetch, Bytes{1, 2, 3}), Verdict::refuse);
  EXPECT_EQ(fixture_.fetch(device_, fetch), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(fixture_.pieces(device_).size(), 1U);
}

TEST_F(Reports, ADisconnectEndsTheTransferAndThePresence) {
  wire::Fetch fetch;
  fetch.session = 1;
  fetch.pack = pack_.id;
  fetch.ranges = {{0, 5, 0}};
  fetch.window_bytes = 65'536;
  fixture_.fetch(device_, fetch);
  fixture_.settle();
  EXPECT_EQ(fixture_.command({{"command", "getDevice"}, {"device", "gw-01"}})["data"]["online"], true);
  EXPECT_GT(fixture_.command({{"command", "getVersion"}})["data"]["transfer_bytes_in_flight"], 0);
  fixture_.service().on_disconnect("gw-01", fixture_.now());
  fixture_.service().on_disconnect("not a device id", fixture_.now());
  EXPECT_EQ(fixture_.command({{"command", "getDevice"}, {"device", "gw-01"}})["data"]["online"], false);
  EXPECT_EQ(fixture_.command({{"command", "getVersion"}})["data"]["transfer_bytes_in_flight"], 0);
}

}  // namespace
}  // namespace instar::broker
