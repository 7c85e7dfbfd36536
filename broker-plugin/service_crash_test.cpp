// Power cuts and failing disks at every commit: what the broker has sent stays true, and all ends as without a fault.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/rollout/exchange/record.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

using wire::Step;

const std::vector<Step> kSteps{Step::fetching, Step::staging, Step::trying, Step::committed};

// An operator and two devices that follow the protocol: they send a message again until its ack has come.
class World {
 public:
  World() {
    devices_.emplace_back("gw-01", 100);
    devices_.emplace_back("gw-02", 101);
    EXPECT_TRUE(fixture.start().has_value());
  }

  ServiceFixture fixture;

  // Everybody does one round of work. Returns true when nothing is left to do.
  bool step() {
    operate();
    for (auto& device : devices_) work(device);
    check_promises();
    return is_done();
  }
  void cut_power() {
    check_promises();
    ASSERT_TRUE(fixture.restart().has_value());
    for (auto& device : devices_) said_hello_[device.id] = false;
    sent_directory_ = false;
    read_ = {};
  }
  [[nodiscard]] bool is_done() const {
    return complete_ && std::all_of(devices_.begin(), devices_.end(),
                                    [&](const FakeDevice& device) { return device.acked == kSteps.size(); });
  }
  void expect_the_right_end() {
    for (int i = 0; i < 12; ++i) {
      fixture.tick(1'000);
      fixture.settle();
    }
    const auto rollout = fixture.command(
        {{"command", "getRollout"}, {"rollout", rollout_of(manifest_).short_hex()}, {"devices", true}})["data"];
    EXPECT_EQ(rollout["devices"], 2);
    EXPECT_EQ(rollout["counts"]["committed"], 2);
    EXPECT_EQ(rollout["state"], "complete");
    EXPECT_EQ(rollout["bytes_full"], 2 * 400'500);
    for (const auto& device : devices_) {
      EXPECT_EQ(fixture.command({{"command", "getDevice"}, {"device", device.id.str()}})["data"]["applied_sequence"],
                kSteps.size());
    }
    EXPECT_EQ(fixture.gate("plant-7")->manifest, rollout_of(manifest_));
    EXPECT_EQ(fixture.status(rollout_of(manifest_))["counts"]["committed"], 2);
  }

 private:
  void operate() {
    for (const auto& stored : fresh(fixture.stored(), read_.stored)) {
      if (stored.code != Code::ok) sent_directory_ = false;
      if (stored.complete) complete_ = true;
      if (!stored.directory || stored.complete) continue;
      for (const auto& range : stored.missing) {
        for (auto i = range.first; i < range.first + range.count; ++i) fixture.put_chunk(pack_, i);
      }
    }
    if (!complete_ && !sent_directory_) {
      sent_directory_ = true;
      fixture.put_directory(pack_);
    }
    // Devices that came later would move nothing, since none fetches here.
    const bool are_known = std::all_of(devices_.begin(), devices_.end(),
                                       [&](const FakeDevice& device) { return !fixture.acks(device).empty(); });
    if (complete_ && are_known && !fixture.gate("plant-7").has_value()) fixture.publish(manifest_);
    for (const auto& device : devices_) {
      const auto topic = fixture.topics().device(device.id, wire::TopicKind::device_assignment);
      if (fixture.broker().on(topic).empty()) fixture.assign(device);
    }
  }
  void work(FakeDevice& device) {
    auto& hello = said_hello_[device.id];
    for (const auto& ack : fresh(fixture.acks(device), read_.acks[device.id])) {
      if (ack.code == Code::ok) device.acked = std::max(device.acked, ack.sequence);
      if (ack.code == Code::not_found) hello = false;
    }
    if (!hello || fixture.acks(device).empty()) fixture.hello(device);
    hello = true;
    if (!fixture.gate("plant-7").has_value()) return;
    device.last_sequence = std::min<std::uint64_t>(device.acked + 2, kSteps.size());
    for (auto sequence = device.acked + 1; sequence <= device.last_sequence; ++sequence) {
      const auto report = device.report_message(rollout_of(manifest_), kSteps[sequence - 1], sequence);
      fixture.from(device, wire::TopicKind::device_report, device.seal_report(report));
    }
  }
  // Checks that a crash now would leave everything that was promised.
  void check_promises() {
    using storage::Column;
    const auto& store = fixture.store();
    for (const auto& device : devices_) {
      std::uint64_t promised = 0;
      for (const auto& ack : fixture.acks(device)) promised = std::max(promised, ack.sequence);
      if (promised == 0) continue;
      const auto bytes = store.durable(Column::devices, storage::device_key(device.id));
      ASSERT_TRUE(bytes.has_value());
      ASSERT_GE(rollout::decode_device_record(*bytes)->applied_sequence, promised);
    }
    for (const auto& stored : fixture.stored()) {
      ASSERT_TRUE(!stored.complete || store.durable(Column::packs, storage::complete_key(pack_.id)).has_value());
      for (const auto& range : stored.durable) {
        for (auto i = range.first; i < range.first + range.count; ++i) {
          const auto& ref = pack_.directory.chunks[i];
          ASSERT_TRUE(store.durable(Column::chunks, storage::chunk_key(ref.hash, ref.encoded_bytes)).has_value());
        }
      }
    }
    expect_retained_is_durable();
    const auto gate = fixture.gate("plant-7");
    if (!gate.has_value()) return;
    const auto bytes = store.durable(Column::rollouts, storage::rollout_key(gate->manifest));
    ASSERT_TRUE(bytes.has_value());
    ASSERT_GE(rollout::decode_rollout_record(*bytes)->issue, gate->issue);
    ASSERT_TRUE(store.durable(Column::rollouts, storage::manifest_key(gate->manifest)).has_value());
  }
  // Checks that nobody has seen a manifest or an assignment that a crash would lose.
  void expect_retained_is_durable() {
    using storage::Column;
    const auto& broker = fixture.broker();
    if (!broker.on(fixture.topics().manifest(group_path("plant-7"), "gateway-2")).empty()) {
      ASSERT_TRUE(fixture.store().durable(Column::rollouts, storage::manifest_key(rollout_of(manifest_))).has_value());
    }
    for (const auto& device : devices_) {
      const auto topic = fixture.topics().device(device.id, wire::TopicKind::device_assignment);
      if (broker.on(topic).empty()) continue;
      ASSERT_EQ(fixture.store().durable(Column::meta, storage::assignment_key(device.id)),
                broker.on(topic).back().payload);
    }
  }
  template <typename Message>
  static std::vector<Message> fresh(std::vector<Message> all, std::size_t& read) {
    const auto from = std::min(read, all.size());
    read = all.size();
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(from));
    return all;
  }
  struct Read {
    std::size_t stored = 0;
    std::map<DeviceId, std::size_t> acks;
  };

  PackFixture pack_ = make_pack(1);
  wire::Manifest manifest_ = make_manifest(pack_, 1);
  std::vector<FakeDevice> devices_;
  std::map<DeviceId, bool> said_hello_;
  bool sent_directory_ = false;
  bool complete_ = false;
  Read read_;
};

TEST(ServiceCrash, AtAnyMomentLosesNothingThatWasPromised) {
  // A round takes one poll of the store; `when` counts half rounds: before the poll, and after it.
  int ended_without_crash = 0;
  for (int when = 0; ended_without_crash < 1 && when < 200; ++when) {
    SCOPED_TRACE("crash at " + std::to_string(when));
    World world;
    bool crashed = false;
    int half = 0;
    for (int round = 0; round < 200; ++round) {
      const bool done = world.step();
      if (half++ == when) {
        world.cut_power();
        crashed = true;
      }
      if (done && half > when) break;
      if (done) break;
      world.fixture.tick(10);
      if (half++ == when) {
        world.cut_power();
        crashed = true;
      }
    }
    ASSERT_TRUE(world.is_done());
    world.expect_the_right_end();
    if (!crashed) ++ended_without_crash;
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
  EXPECT_EQ(ended_without_crash, 1) << "every moment of the life has been tried";
}

TEST(ServiceCrash, RepeatedAtEveryRoundStillReachesTheEnd) {
  World world;
  bool done = false;
  for (int round = 0; round < 400 && !done; ++round) {
    done = world.step();
    if (done) break;
    if (round % 5 == 4) world.cut_power();
    world.fixture.tick(10);
  }
  EXPECT_TRUE(done);
  world.expect_the_right_end();
}

TEST(ServiceCrash, AFailingCommitSendsNothingAndTheStateComesBackFromTheStore) {
  bool reached_the_end = false;
  for (std::uint64_t nth = 1; !reached_the_end && nth < 200; ++nth) {
    SCOPED_TRACE("commit " + std::to_string(nth) + " fails");
    World world;
    world.fixture.store().set_faults({.fail_commit = nth, .fail_reopens = nth % 3 == 0 ? 1U : 0U});
    bool done = false;
    for (int round = 0; round < 400 && !done; ++round) {
      done = world.step();
      if (!done) world.fixture.tick(1'000);
    }
    ASSERT_TRUE(done);
    reached_the_end = world.fixture.store().commit_count() < nth;
    world.expect_the_right_end();
    EXPECT_TRUE(reached_the_end || world.fixture.broker().logged("the store refused a write"));
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
  EXPECT_TRUE(reached_the_end);
}

TEST(ServiceCrash, AnOperatorHearsThatAWriteWasLost) {
  ServiceFixture fixture;
  ASSERT_TRUE(fixture.start().has_value());
  const auto pack = make_pack(1);
  static_cast<void>(fixture.release(1, pack));
  fixture.settle();
  const auto manifest = make_manifest(pack, 2);
  fixture.store().set_faults({.fail_commit = fixture.store().commit_count() + 1, .fail_reopens = 3});
  EXPECT_EQ(fixture.publish(manifest), Verdict::consume);
  fixture.settle();
  const auto said = fixture.broker().on(fixture.topics().status(rollout_of(manifest).short_hex()));
  ASSERT_EQ(said.size(), 1U);
  const auto status = nlohmann::json::parse(as_text(said[0].payload), nullptr, false);
  EXPECT_EQ(status["state"], "refused");
  EXPECT_NE(status.dump().find("the broker's store does not work"), std::string::npos) << status.dump();
}

TEST(ServiceCrash, WhileTheStoreIsDownEverythingIsRefusedWithThatReason) {
  ServiceFixture fixture;
  ASSERT_TRUE(fixture.start().has_value());
  const auto pack = make_pack(1);
  const auto rollout = fixture.release(1, pack);
  FakeDevice device("gw-01");
  fixture.hello(device);
  fixture.settle();
  fixture.store().set_faults({.fail_commit = fixture.store().commit_count() + 1, .fail_reopens = 3});
  fixture.report(device, rollout, Step::fetching);
  fixture.settle();
  const auto acks = fixture.acks(device).size();
  EXPECT_EQ(fixture.report(device, rollout, Step::staging), Verdict::refuse);
  EXPECT_EQ(fixture.publish(make_manifest(pack, 2)), Verdict::refuse);
  EXPECT_NE(fixture.command({{"command", "listRollouts"}})["error"].get<std::string>().find("unavailable"),
            std::string::npos);
  fixture.put_directory(make_pack(2));
  EXPECT_EQ(fixture.stored().back().code, Code::unavailable);
  EXPECT_EQ(fixture.acks(device).size(), acks);
  // Chunks need no writing: transfers go on.
  wire::Fetch fetch;
  fetch.session = 1;
  fetch.pack = pack.id;
  fetch.ranges = {{0, 1, 0}};
  fetch.window_bytes = 65'536;
  fixture.fetch(device, fetch);
  fixture.settle();
  EXPECT_EQ(fixture.pieces(device).size(), 1U);
  for (int i = 0; i < 30; ++i) fixture.tick(1'000);
  EXPECT_TRUE(fixture.broker().logged("the store works again"));
  device.last_sequence = 0;
  EXPECT_EQ(fixture.report(device, rollout, Step::fetching), Verdict::consume);
  fixture.settle();
  EXPECT_EQ(fixture.acks(device).back().sequence, 1U);
}

TEST(ServiceCrash, DamagedRecordsAreSkipped) {
  ServiceFixture fixture;
  ASSERT_TRUE(fixture.start().has_value());
  const auto rollout = fixture.release(1, make_pack(1));
  FakeDevice device("gw-01");
  fixture.hello(device);
  fixture.settle();
  fixture.store().commit({{storage::Column::devices, "gw-02", Bytes{9, 9}},
                          {storage::Column::members, storage::member_key(rollout, device.id), Bytes{1}},
                          {storage::Column::rollouts, storage::rollout_key(ManifestId(trust::digest({}))), Bytes{}},
                          {storage::Column::devices, "not a name/", Bytes{1}}},
                         {});
  fixture.store().poll();
  ASSERT_TRUE(fixture.restart().has_value());
  EXPECT_TRUE(fixture.broker().logged("is passed over"));
  const auto data = fixture.command({{"command", "getRollout"}, {"rollout", rollout.hex()}})["data"];
  EXPECT_EQ(data["devices"], 1);
  EXPECT_EQ(data["counts"]["waiting"], 1);
}

}  // namespace
}  // namespace instar::broker
