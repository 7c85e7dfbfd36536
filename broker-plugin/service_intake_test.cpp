// How much one client may take of the broker.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

using wire::Step;
using wire::TopicKind;

class ServiceIntake : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fixture_.start().has_value()); }
  Verdict send_as(const Sender& sender, const FakeDevice& device, TopicKind kind, const Bytes& payload) {
    const auto verdict = fixture_.service().on_message(sender, fixture_.topics().device(device.id, kind), payload,
                                                       wire::Qos::at_least_once, wire::Retain::no, fixture_.now());
    fixture_.service().assert_invariants();
    return verdict;
  }
  nlohmann::json version() { return fixture_.command({{"command", "getVersion"}})["data"]; }
  nlohmann::json forget(nlohmann::json fields) {
    fields["command"] = "forgetDevices";
    return fixture_.command(fields);
  }
  ServiceFixture fixture_;
  FakeDevice device_{"gw-01"};
};

TEST_F(ServiceIntake, AHelloThatIsTooLargeIsRefusedAndToldOnce) {
  const Sender evil{"gw-01", "evil", true, "10.0.0.7"};
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(send_as(evil, device_, TopicKind::device_hello, Bytes(limits::kHelloBytesMax + 1, 7)), Verdict::refuse);
  const auto acks = fixture_.acks(device_);
  ASSERT_EQ(acks.size(), 1U);
  EXPECT_EQ(acks[0].code, Code::too_large);
  EXPECT_TRUE(fixture_.broker().logged("(client 'gw-01', user 'evil', address 10.0.0.7)"));
  EXPECT_EQ(version()["messages_too_large"], 5);
  EXPECT_EQ(version()["messages_refused"], 5);
}

TEST_F(ServiceIntake, AFloodOfHellosIsRefusedAndAnotherDeviceIsHeard) {
  for (std::int64_t i = 0; i < 2 * limits::kHelloBurstMax; ++i) fixture_.hello(device_);
  EXPECT_EQ(version()["messages_too_often"], limits::kHelloBurstMax);
  const auto acks = fixture_.acks(device_);
  EXPECT_EQ(std::ranges::count(acks, Code::unavailable, &wire::Ack::code), 1);
  FakeDevice good("gw-02");
  EXPECT_EQ(fixture_.hello(good), Verdict::consume);
  fixture_.settle();
  ASSERT_EQ(fixture_.acks(good).size(), 1U);
  EXPECT_EQ(fixture_.acks(good)[0].code, Code::ok);
}

TEST_F(ServiceIntake, WhoAsksForChunksTooOftenIsAnsweredBusy) {
  fixture_.hello(device_);
  wire::Fetch fetch;
  fetch.pack = make_pack(9).id;
  fetch.ranges = {{0, 1}};
  fetch.window_bytes = 65'536;
  fetch.piece_bytes_max = 8'192;
  for (std::int64_t i = 0; i < limits::kRequestBurstMax; ++i) {
    fetch.session = static_cast<std::uint32_t>(i + 1);
    ASSERT_EQ(fixture_.fetch(device_, fetch), Verdict::consume) << i;
  }
  fixture_.settle();
  fixture_.forget_published();
  ++fetch.session;
  EXPECT_EQ(fixture_.fetch(device_, fetch), Verdict::refuse);
  const auto pieces = fixture_.pieces(device_);
  ASSERT_EQ(pieces.size(), 1U);
  EXPECT_EQ(pieces[0].fault, wire::ChunkFault::busy);
  EXPECT_EQ(pieces[0].session, fetch.session);
  fetch.pack.reset();
  fetch.ranges.clear();
  EXPECT_EQ(fixture_.fetch(device_, fetch), Verdict::consume) << "credit may still be returned";
}

// --- devices that never took part --------------------------------------------------------------------

class UnknownDevices : public ServiceIntake {
 protected:
  UnknownDevices() { fixture_.options().unknown_devices_max_per_login = 3; }
  // `count` made-up devices say hello over connections of `login`.
  void make_up(const std::string& login, int count) {
    for (int i = 0; i < count; ++i) {
      FakeDevice made(login + "-" + std::to_string(i), 50);
      static_cast<void>(send_as({made.id.str(), login, true, "10.0.0.7"}, made, TopicKind::device_hello, made.hello()));
    }
    fixture_.settle();
  }
  nlohmann::json unknown() { return fixture_.command({{"command", "listDevices"}, {"unknown", true}})["data"]; }
};

TEST_F(UnknownDevices, ALoginBringsAFewAndTheRestIsRefused) {
  make_up("evil", 10);
  EXPECT_EQ(unknown()["totalCount"], 3);
  EXPECT_EQ(version()["devices_unknown"], 3);
  EXPECT_TRUE(fixture_.broker().logged("login 'evil' has brought 3 devices"));
  const auto acks = fixture_.acks(FakeDevice("evil-9"));
  ASSERT_EQ(acks.size(), 1U);
  EXPECT_EQ(acks[0].code, Code::unavailable);
  make_up("plant", 2);
  EXPECT_EQ(unknown()["totalCount"], 5) << "another login has room of its own";
  EXPECT_EQ(fixture_.command({{"command", "getDevice"}, {"device", "evil-0"}})["data"]["login"], "evil");
}

TEST_F(UnknownDevices, OnesThatTakePartMakeRoomAndTheBoundHoldsAfterARestart) {
  const auto pack = make_pack(1);
  make_up("plant", 3);
  const auto rollout = fixture_.release(1, pack);
  FakeDevice one("plant-0", 50);
  fixture_.report(one, rollout, Step::fetching);
  fixture_.settle();
  EXPECT_EQ(unknown()["totalCount"], 2);
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(version()["devices_unknown"], 2);
  make_up("plant", 5);
  EXPECT_EQ(unknown()["totalCount"], 3);
}

TEST_F(UnknownDevices, AreForgottenAfterALongSilence) {
  make_up("evil", 3);
  const auto days = [](std::int64_t count) { return count * 24 * 3'600 * 1'000; };
  fixture_.tick(days(31));
  fixture_.settle();
  EXPECT_EQ(unknown()["totalCount"], 3) << "they are connected";
  for (int i = 0; i < 2; ++i) fixture_.service().on_disconnect("evil-" + std::to_string(i), fixture_.now());
  fixture_.tick(1'000);
  fixture_.settle();
  EXPECT_EQ(unknown()["totalCount"], 1);
}

TEST_F(UnknownDevices, ACommandForgetsThemByTheirSilence) {
  make_up("evil", 3);
  for (int i = 0; i < 3; ++i) fixture_.service().on_disconnect("evil-" + std::to_string(i), fixture_.now());
  fixture_.tick(3'600'000);
  EXPECT_EQ(forget({{"older_than_s", 7'200}, {"unknown", true}})["data"]["forgotten"], 0);
  const auto data = forget({{"older_than_s", 3'600}, {"unknown", true}})["data"];
  EXPECT_EQ(data["forgotten"], 3);
  EXPECT_EQ(data["more"], false);
  EXPECT_EQ(version()["devices"], 0);
}

TEST_F(UnknownDevices, ThatTookPartGoOnlyWhenAllAreMeant) {
  const auto pack = make_pack(1);
  make_up("plant", 1);
  const auto rollout = fixture_.release(1, pack);
  FakeDevice one("plant-0", 50);
  fixture_.report(one, rollout, Step::fetching);
  fixture_.settle();
  fixture_.service().on_disconnect("plant-0", fixture_.now());
  fixture_.tick(3'600'000);
  EXPECT_EQ(forget({{"older_than_s", 60}, {"unknown", true}})["data"]["forgotten"], 0);
  EXPECT_EQ(forget({{"older_than_s", 60}})["data"]["forgotten"], 1);
}

TEST_F(UnknownDevices, ACommandWithoutATimeForgetsNobody) {
  make_up("evil", 1);
  for (const auto& value : {nlohmann::json(), nlohmann::json(-1), nlohmann::json("30d"), nlohmann::json(1e30)})
    EXPECT_TRUE(forget({{"older_than_s", value}}).contains("error")) << value;
  EXPECT_EQ(version()["devices"], 1);
}

}  // namespace
}  // namespace instar::broker
