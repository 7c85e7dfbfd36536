#include "broker-plugin/mosquitto/instance.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "core/base/limits.hpp"
#include "storage/memory_store.hpp"

namespace instar::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FakeService final : public Service {
 public:
  Status start(Now) override {
    if (fail_start) return fail(Code::corrupt, "store is of no use");
    return {};
  }
  Verdict on_message(const Sender& sender, std::string_view topic, ByteView, wire::Qos, wire::Retain, Now) override {
    messages.push_back(std::string(sender.client_id) + (sender.identity_known ? " " : " (bridge) ") +
                       std::string(topic));
    if (transfer_log) transfer_log(*DeviceId::parse("dev1"), PackId{}, 1, 2, 3);
    return verdict;
  }
  void on_control(const Sender& sender, std::string_view payload, Now) override {
    controls.push_back(std::string(sender.username) + ":" + std::string(payload));
  }
  void on_disconnect(std::string_view client_id, Now) override { gone.emplace_back(client_id); }
  void on_tick(Now) override { ++ticks; }
  void on_stop() override { ++stops; }
  bool may_write(const Sender&, std::string_view topic) const override {
    return !unwritable.contains(std::string(topic));
  }
  bool may_read(const Sender&, std::string_view topic) const override {
    return !unreadable.contains(std::string(topic));
  }

  bool fail_start = false;
  Verdict verdict = Verdict::consume;
  TransferLog transfer_log;
  std::set<std::string> unwritable;
  std::set<std::string> unreadable;
  std::vector<std::string> messages;
  std::vector<std::string> controls;
  std::vector<std::string> gone;
  int ticks = 0;
  int stops = 0;
};

class FakePort final : public BrokerPort {
 public:
  void publish(const std::string&, ByteView, wire::Qos, wire::Retain) override {}
  void log(LogLevel, const std::string& line) override { lines.push_back(line); }
  std::vector<std::string> lines;
};

bool next_start_fails = false;
FakeService* last_service = nullptr;

constexpr Now kNow{WallMs{1'700'000'000'000}, MonotonicMs{1'000}};

class InstanceTest : public testing::Test {
 protected:
  void SetUp() override {
    next_start_fails = false;
    options_.store_dir = "/s";
    options_.gate_key = "/k";
    options_.root = "/r";
  }
  Instance& open() {
    auto opened = Instance::open(options_, port_, kNow);
    EXPECT_TRUE(opened.has_value());
    instance_ = std::move(*opened);
    return *instance_;
  }
  FakeService& service() { return *last_service; }
  // The check and the message have one text, as in Mosquitto.
  MessageAnswer publish(const Client& client, const std::string& topic, std::size_t size = 3, Now now = kNow) {
    if (instance_->on_acl(client, Access::write, topic, size) == AclAnswer::deny) return MessageAnswer::deny;
    return instance_->on_message(client, topic, Bytes(size), wire::Qos::at_least_once, wire::Retain::no, now);
  }

  PluginOptions options_;
  FakePort port_;
  std::unique_ptr<Instance> instance_;
  int a_ = 0;
  int b_ = 0;
  Client dev1_{&a_, "dev1", ""};
  Client dev2_{&b_, "dev2", ""};
};

TEST_F(InstanceTest, ForeignTopicsNeverReachTheService) {
  auto& instance = open();
  for (const std::string topic :
       {"plant/x", "instar", "instar/v1", "instar/v10/root", "$SYS/x", "$CONTROL/dynamic-security/v1", ""}) {
    EXPECT_FALSE(instance.guards(topic)) << topic;
    EXPECT_EQ(instance.on_acl(dev1_, Access::write, topic, 1 << 30), AclAnswer::defer);
    EXPECT_EQ(instance.on_acl(dev1_, Access::read, topic, 0), AclAnswer::defer);
    EXPECT_EQ(instance.on_message(dev1_, topic, Bytes(3), wire::Qos::at_most_once, wire::Retain::yes, kNow),
              MessageAnswer::route);
  }
  EXPECT_THAT(service().messages, IsEmpty());
}

TEST_F(InstanceTest, FallthroughAllowAllowsWhatDeferLeavesToOthers) {
  options_.acl_fallthrough = AclFallthrough::allow;
  auto& instance = open();
  service().unwritable = {"instar/v1/x"};
  EXPECT_EQ(instance.on_acl(dev1_, Access::write, "plant/x", 1), AclAnswer::allow);
  EXPECT_EQ(instance.on_acl(dev1_, Access::other, "#", 0), AclAnswer::allow);
  EXPECT_EQ(instance.on_acl(dev1_, Access::read, "instar/v1/root", 0), AclAnswer::allow);
  EXPECT_EQ(instance.on_acl(dev1_, Access::write, "instar/v1/x", 1), AclAnswer::deny);
}

TEST_F(InstanceTest, OurOwnDenialsHoldUnderDeferAndAllow) {
  for (const auto fallthrough : {AclFallthrough::defer, AclFallthrough::allow}) {
    options_.acl_fallthrough = fallthrough;
    auto& instance = open();
    service().unwritable = {"instar/v1/d/dev1/ack", "$CONTROL/instar/v1"};
    service().unreadable = {"instar/v1/d/dev2/chunk"};
    EXPECT_EQ(instance.on_acl(dev1_, Access::write, "instar/v1/d/dev1/ack", 1), AclAnswer::deny);
    EXPECT_EQ(instance.on_acl(dev1_, Access::write, "$CONTROL/instar/v1", 1), AclAnswer::deny);
    EXPECT_EQ(instance.on_acl(dev1_, Access::read, "instar/v1/d/dev2/chunk", 1), AclAnswer::deny);
  }
}

TEST_F(InstanceTest, TooLargeIsRefusedBeforeAnythingElse) {
  open();
  EXPECT_EQ(publish(dev1_, "instar/v1/d/dev1/hello", limits::kMessageBytesMax), MessageAnswer::swallow);
  EXPECT_EQ(publish(dev1_, "instar/v1/d/dev1/hello", limits::kMessageBytesMax + 1), MessageAnswer::deny);
  const std::string topic = "instar/v1/d/dev1/hello";
  EXPECT_EQ(instance_->on_message(dev1_, topic, Bytes(limits::kMessageBytesMax + 1), wire::Qos::at_most_once,
                                  wire::Retain::no, kNow),
            MessageAnswer::deny);
  EXPECT_EQ(service().messages.size(), 1U);
  instance_->on_control(dev1_, Bytes(limits::kMessageBytesMax + 1), kNow);
  EXPECT_THAT(service().controls, IsEmpty());
}

TEST_F(InstanceTest, VerdictsBecomeAnswers) {
  open();
  service().verdict = Verdict::route;
  EXPECT_EQ(publish(dev1_, "instar/v1/d/dev1/presence"), MessageAnswer::route);
  service().verdict = Verdict::consume;
  EXPECT_EQ(publish(dev1_, "instar/v1/d/dev1/report"), MessageAnswer::swallow);
  service().verdict = Verdict::refuse;
  EXPECT_EQ(publish(dev1_, "instar/v1/manifest/a/press"), MessageAnswer::deny);
}

TEST_F(InstanceTest, NobodyReadsAMessageThatIsTakenAndTheNextOneIsRead) {
  auto& instance = open();
  const std::string topic = "instar/v1/manifest/a/press";
  EXPECT_EQ(publish(dev1_, topic), MessageAnswer::swallow);
  EXPECT_EQ(instance.on_acl(dev2_, Access::read, topic, 3), AclAnswer::deny);
  EXPECT_EQ(instance.on_acl(dev2_, Access::read, "instar/v1/root", 3), AclAnswer::defer);
  instance.on_tick(kNow);
  EXPECT_EQ(instance.on_acl(dev2_, Access::read, topic, 3), AclAnswer::defer);
  EXPECT_EQ(publish(dev1_, topic), MessageAnswer::swallow);
  EXPECT_EQ(publish(dev2_, "plant/x"), MessageAnswer::route);
  EXPECT_EQ(instance.on_acl(dev2_, Access::read, topic, 3), AclAnswer::defer);
}

TEST_F(InstanceTest, NobodyEverReadsMessagesToTheBroker) {
  auto& instance = open();
  for (const std::string topic :
       {"instar/v1/d/dev1/hello", "instar/v1/d/dev1/report", "instar/v1/d/dev1/fetch", "instar/v1/o/op-1/put"}) {
    EXPECT_EQ(instance.on_acl(dev1_, Access::read, topic, 3), AclAnswer::deny) << topic;
    EXPECT_EQ(instance.on_acl(dev2_, Access::read, topic, 3), AclAnswer::deny) << topic;
  }
  EXPECT_EQ(instance.on_acl(dev2_, Access::read, "instar/v1/d/dev1/presence", 3), AclAnswer::defer);
}

TEST_F(InstanceTest, OfQos2OnlyWhatNobodyMayReadIsSwallowed) {
  auto& instance = open();
  EXPECT_EQ(
      instance.on_message(dev1_, "instar/v1/d/dev1/report", Bytes(3), wire::Qos::exactly_once, wire::Retain::no, kNow),
      MessageAnswer::swallow);
  EXPECT_EQ(instance.on_message(dev1_, "instar/v1/root", Bytes(3), wire::Qos::exactly_once, wire::Retain::no, kNow),
            MessageAnswer::deny);
  EXPECT_EQ(instance.on_message(dev1_, "instar/v1/root", Bytes(3), wire::Qos::at_least_once, wire::Retain::no, kNow),
            MessageAnswer::swallow);
}

TEST_F(InstanceTest, MessageThatAnotherPluginLetThroughIsCheckedAndLoggedOnce) {
  auto& instance = open();
  service().unwritable = {"instar/v1/d/dev1/ack"};
  EXPECT_EQ(
      instance.on_message(dev1_, "instar/v1/d/dev1/ack", Bytes(3), wire::Qos::at_most_once, wire::Retain::no, kNow),
      MessageAnswer::deny);
  EXPECT_THAT(service().messages, IsEmpty());
  EXPECT_EQ(
      instance.on_message(dev1_, "instar/v1/d/dev1/hello", Bytes(3), wire::Qos::at_most_once, wire::Retain::no, kNow),
      MessageAnswer::swallow);
  EXPECT_EQ(
      instance.on_message(dev1_, "instar/v1/d/dev1/hello", Bytes(3), wire::Qos::at_most_once, wire::Retain::no, kNow),
      MessageAnswer::swallow);
  EXPECT_THAT(port_.lines, ElementsAre(HasSubstr("put its `plugin` line before")));
}

TEST_F(InstanceTest, CheckOfOneClientDoesNotCountForAnother) {
  auto& instance = open();
  const std::string topic = "instar/v1/d/dev1/hello";
  EXPECT_EQ(instance.on_acl(dev1_, Access::write, topic, 3), AclAnswer::defer);
  EXPECT_EQ(instance.on_message(dev2_, topic, Bytes(3), wire::Qos::at_most_once, wire::Retain::no, kNow),
            MessageAnswer::swallow);
  EXPECT_EQ(port_.lines.size(), 1U);
}

TEST_F(InstanceTest, BridgesHaveNoIdentityAndCauseNoWarning) {
  options_.bridges = {"hub.north"};
  auto& instance = open();
  EXPECT_EQ(instance.on_message({&a_, "hub.north", ""}, "instar/v1/d/dev9/hello", Bytes(3), wire::Qos::at_most_once,
                                wire::Retain::no, kNow),
            MessageAnswer::swallow);
  EXPECT_THAT(service().messages, ElementsAre("hub.north (bridge) instar/v1/d/dev9/hello"));
  EXPECT_THAT(port_.lines, IsEmpty());
}

TEST_F(InstanceTest, LastWillMayBeOnPresenceOnly) {
  auto& instance = open();
  instance.on_disconnect(dev1_, kNow);
  EXPECT_EQ(instance.on_acl(dev1_, Access::write, "instar/v1/d/dev1/presence", 3), AclAnswer::defer);
  EXPECT_EQ(instance.on_acl(dev1_, Access::write, "instar/v1/manifest/a/press", 3), AclAnswer::deny);
  EXPECT_EQ(instance.on_acl(dev1_, Access::write, "instar/v1/root", 3), AclAnswer::deny);
  EXPECT_EQ(instance.on_acl(dev1_, Access::write, "instar/v1/no/such/topic", 3), AclAnswer::deny);
  EXPECT_EQ(instance.on_acl(dev1_, Access::write, "plant/x", 3), AclAnswer::defer);
  EXPECT_EQ(instance.on_acl(dev2_, Access::write, "instar/v1/manifest/a/press", 3), AclAnswer::defer);
  instance.on_tick(kNow);
  EXPECT_EQ(instance.on_acl(dev1_, Access::write, "instar/v1/manifest/a/press", 3), AclAnswer::defer);
}

TEST_F(InstanceTest, PresenceEndsWithTheConnectionThatSpokeLast) {
  auto& instance = open();
  (void)publish(dev1_, "instar/v1/d/dev1/hello");
  (void)publish({&b_, "dev1", ""}, "instar/v1/d/dev1/hello");
  instance.on_disconnect(dev1_, kNow);
  EXPECT_THAT(service().gone, IsEmpty());
  instance.on_disconnect({&b_, "dev1", ""}, kNow);
  EXPECT_THAT(service().gone, ElementsAre("dev1"));
}

TEST_F(InstanceTest, SocketThatNeverBecameAClientIsIgnored) {
  auto& instance = open();
  instance.on_disconnect({&a_, "", ""}, kNow);
  instance.on_disconnect({nullptr, "", ""}, kNow);
  EXPECT_THAT(service().gone, IsEmpty());
}

TEST_F(InstanceTest, AddressUsedAgainEndsTheFirstClient) {
  open();
  (void)publish(dev1_, "instar/v1/d/dev1/hello");
  (void)publish({&a_, "dev3", ""}, "instar/v1/d/dev3/hello");
  EXPECT_THAT(service().gone, ElementsAre("dev1"));
}

TEST_F(InstanceTest, CommandsCarryTheUsernameAndAreCheckedAgain) {
  auto& instance = open();
  instance.on_control({&a_, "op-1", "alice"}, to_bytes("{}"), kNow);
  EXPECT_THAT(service().controls, ElementsAre("alice:{}"));
  service().unwritable = {"$CONTROL/instar/v1"};
  instance.on_control({&a_, "op-2", "mallory"}, to_bytes("{}"), kNow);
  EXPECT_EQ(service().controls.size(), 1U);
}

TEST_F(InstanceTest, MissingTickIsLogged) {
  open();
  (void)publish(dev1_, "instar/v1/d/dev1/hello", 3, {kNow.wall, kNow.monotonic + 5'000});
  EXPECT_THAT(port_.lines, IsEmpty());
  (void)publish(dev1_, "instar/v1/d/dev1/hello", 3, {kNow.wall, kNow.monotonic + 5'001});
  (void)publish(dev1_, "instar/v1/d/dev1/hello", 3, {kNow.wall, kNow.monotonic + 9'000});
  EXPECT_THAT(port_.lines, ElementsAre(HasSubstr("per_listener_settings")));
}

TEST_F(InstanceTest, AllTopicsFollowThePrefix) {
  options_.prefix = "acme/up";
  auto& instance = open();
  EXPECT_EQ(instance.control_topic(), "$CONTROL/acme/up");
  EXPECT_TRUE(instance.guards("acme/up/root"));
  EXPECT_TRUE(instance.guards("$CONTROL/acme/up"));
  EXPECT_TRUE(instance.guards("$CONTROL/acme/up/response"));
  EXPECT_FALSE(instance.guards("$CONTROL/acme/upper"));
  EXPECT_FALSE(instance.guards("instar/v1/root"));
}

TEST_F(InstanceTest, TheServiceIsStoppedWithTheBroker) {
  open().on_stop();
  EXPECT_EQ(service().stops, 1);
}

TEST_F(InstanceTest, TransfersAreInTheFileAfterTheTickThatSendsThem) {
  const auto path = std::filesystem::path(testing::TempDir()) / "instance_transfers";
  std::filesystem::remove(path);
  options_.transfer_log = path;
  auto& instance = open();
  (void)publish(dev1_, "instar/v1/d/dev1/fetch");
  instance.on_tick(kNow);
  std::string line;
  std::ifstream in(path);
  ASSERT_TRUE(std::getline(in, line));
  EXPECT_EQ(line, "1700000000000 dev1 " + std::string(64, '0') + " 1 2 3");
}

TEST_F(InstanceTest, FailureToOpenIsReturned) {
  next_start_fails = true;
  const auto failed = Instance::open(options_, port_, kNow);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, Code::corrupt);
  next_start_fails = false;
  options_.transfer_log = "/no/such/folder/t";
  const auto no_log = Instance::open(options_, port_, kNow);
  ASSERT_FALSE(no_log.has_value());
  EXPECT_EQ(no_log.error().code, Code::io);
}

}  // namespace

Result<Backend> open_backend(const PluginOptions&, BrokerPort&, TransferLog transfer_log, std::function<void()>) {
  auto service = std::make_unique<FakeService>();
  service->fail_start = next_start_fails;
  service->transfer_log = std::move(transfer_log);
  last_service = service.get();
  return Backend{.store = std::make_unique<storage::MemoryStore>(), .service = std::move(service)};
}

}  // namespace instar::broker
