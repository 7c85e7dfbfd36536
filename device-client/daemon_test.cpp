#include "device-client/daemon.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/trust/envelope.hpp"
#include "core/trust/root.hpp"
#include "device-client/device_status.hpp"
#include "device-client/host.hpp"
#include "device-client/testing/fake_helper.hpp"
#include "files/files.hpp"
#include "files/spared_file.hpp"
#include "files/testing/temporary_folder.hpp"
#include "mqtt/testing/fake_client.hpp"

namespace instar::device {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Records what it was asked to do, and never answers.
struct FakeStaging final : StagingPort {
  struct Seen {
    std::vector<std::uint32_t> removed;
    int ticks = 0;
    std::optional<std::uint64_t> bytes_free;
  };
  explicit FakeStaging(Seen& seen) : seen_(seen) {}
  void open(const revision::OpenStaging&, Events&) override {}
  void piece(const revision::StagePiece&, Events&) override {}
  void finish(const revision::FinishStaging&, Events&) override {}
  void remove(const revision::RemoveRevision& effect) override { seen_.removed.push_back(effect.revision); }
  void trim(const revision::TrimRevision&) override {}
  bool step(Events&) override { return false; }
  void tick(MonotonicMs) override { ++seen_.ticks; }
  void tell_free_space(Events& out) const override {
    if (seen_.bytes_free) out.push_back(revision::FreeSpace{*seen_.bytes_free});
  }
  std::optional<MonotonicMs> next_deadline() const override { return std::nullopt; }
  Seen& seen_;
};

class DaemonTest : public ::testing::Test {
 protected:
  DaemonTest() {
    config = parse_config("device_id = d\nproduct = p\ngroups = plant/line\nserver = tcp://x:1\nroot_file = " +
                              (folder / "root") + "\nstate_dir = " + (folder / "state") + "\n",
                          "x")
                 .value();
    write_root(folder / "root");
    EXPECT_TRUE(prepare_state_dir(config).has_value());
    stop_fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  }
  ~DaemonTest() override { ::close(stop_fd); }

  static trust::SecretKey key(std::uint8_t fill) { return trust::SecretKey::from_seed(Bytes(32, fill)).value(); }
  static void write_root(const std::string& path) {
    trust::RootDocument root;
    for (const std::uint8_t fill : std::initializer_list<std::uint8_t>{1, 2, 3})
      root.keys.push_back({key(fill).public_key(), "", ""});
    root.roles = {{trust::RoleName::root, 1, {key(1).public_key().id()}},
                  {trust::RoleName::release, 1, {key(2).public_key().id()}},
                  {trust::RoleName::gate, 1, {key(3).public_key().id()}}};
    const Bytes envelope = trust::seal(trust::Kind::root, trust::encode_root(root), key(1));
    EXPECT_TRUE(files::write_file_atomic(path, envelope).has_value());
  }

  Result<std::unique_ptr<Daemon>> open() {
    DaemonParts parts{config,
                      read_facts(config),
                      {},
                      helper.path(),
                      load_identity(config.state_dir).value(),
                      Log(log_level, false),
                      std::make_unique<FakeStaging>(staging),
                      [this](mqtt::Options given) {
                        options = std::move(given);
                        auto made = std::make_unique<mqtt::FakeClient>();
                        client = made.get();
                        return made;
                      },
                      [this] { return now; },
                      [](WallMs) { return 0; }};
    parts.troubles = troubles;
    return Daemon::open(std::move(parts));
  }
  // Release 2.4.1, which is admitted and arrives over the connection.
  void offer(wire::Policy policy) {
    wire::Pack pack;
    pack.id = PackId(trust::digest(as_bytes("pack")));
    pack.head = {{ChunkHash(trust::digest(as_bytes("head"))), 100, 100, artifact::Codec::raw}};
    pack.head_bytes = 100;
    pack.body_count = 1;
    pack.body_bytes = 1'000;
    const wire::Artifact artifact{
        ArtifactId(trust::digest(as_bytes("artifact"))), wire::ArtifactKind::tree, 1'000, 1, 100, {pack}};
    wire::Container container;
    container.name = "app";
    container.artifact = artifact.id;
    wire::Manifest manifest;
    manifest.product = "p";
    manifest.release = "2.4.1";
    manifest.sequence = 1;
    manifest.issued = now.wall;
    manifest.groups = {GroupPath::parse("plant/line").value()};
    manifest.artifacts = {artifact};
    manifest.containers = {container};
    manifest.policy = std::move(policy);
    const Bytes payload = wire::encode_manifest(manifest);
    wire::Gate gate;
    gate.group = manifest.groups.front();
    gate.product = "p";
    gate.manifest = ManifestId(trust::digest(payload));
    gate.sequence = 1;
    gate.admitted_bp = 10'000;
    gate.fresh = now.wall;
    gate.wave_opened = {now.wall};
    client->deliver({"instar/v1/manifest/plant/line/p", trust::seal(trust::Kind::manifest, payload, key(2)),
                     wire::Qos::at_least_once, wire::Retain::yes});
    client->deliver({"instar/v1/gate/plant/line/p", trust::seal(trust::Kind::gate, wire::encode(gate), key(3)),
                     wire::Qos::at_least_once, wire::Retain::yes});
  }
  // Topics published, in order.
  std::vector<std::string> topics() const {
    std::vector<std::string> found;
    for (const auto& message : client->published) found.push_back(message.topic);
    return found;
  }

  files::TemporaryFolder folder;
  FakeHelper helper;
  Config config;
  // What the last hello says that does not work.
  std::vector<std::string> degraded() const {
    for (auto message = client->published.rbegin(); message != client->published.rend(); ++message) {
      if (!message->topic.ends_with("/hello")) continue;
      return wire::decode_hello(trust::parse_envelope(message->payload)->payload)->description.degraded;
    }
    return {"no hello was said"};
  }

  FakeStaging::Seen staging;
  std::vector<std::string> troubles;
  mqtt::Options options;
  mqtt::FakeClient* client = nullptr;
  Now now{{1'700'000'000'000}, {1'000}};
  int stop_fd = -1;
  std::optional<LogLevel> log_level;
};

TEST_F(DaemonTest, SaysWhyThereIsNoBrokerInItsStatus) {
  const auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  const auto link = [&] { return status_text(*read_status(config)); };
  EXPECT_THAT(link(), HasSubstr("not connected, because the daemon does not run"));
  auto status = [&] {
    auto read = read_status(config).value();
    read.daemon_pid = 1;
    return status_text(read);
  };
  EXPECT_THAT(status(), HasSubstr("link        not connected yet"));
  client->disconnect("TCP connect timeout");
  client->explain(mqtt::Fault::refused, "nobody listens at b:1883: Connection refused. Is Mosquitto running there?");
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_THAT(status(), HasSubstr("link        NOT connected since 2023-11-14 22:13 UTC, 1 failed attempt: nobody"));
  now.wall = now.wall + 3'600'000;
  client->connect();
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_THAT(status(),
              HasSubstr("link        connected since 2023-11-14 23:13 UTC; last failure on 2023-11-14 22:13"));
  EXPECT_THAT(status_json(*read_status(config)), HasSubstr("\"connected\":true"));
}

TEST_F(DaemonTest, AHelloThatNobodyAnswersIsLookedIntoOnce) {
  const auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  const auto later = [&](std::int64_t ms) {
    now.monotonic = now.monotonic + ms;
    return (*daemon)->turn(stop_fd, 0);
  };
  client->connect();
  ASSERT_TRUE(later(0));
  ASSERT_TRUE(later(29'000));
  EXPECT_TRUE(client->asked_why.empty());
  ASSERT_TRUE(later(1'000));
  ASSERT_EQ(client->asked_why.size(), 1U);
  EXPECT_EQ(client->asked_why[0].message.topic, "instar/v1/d/d/hello");
  EXPECT_THAT(client->asked_why[0].answers_on, ElementsAre("instar/v1/d/d/ack"));
  EXPECT_TRUE(client->asked_why[0].same_id);
  client->disconnect("taken over");
  client->connect();
  ASSERT_TRUE(later(0));
  ASSERT_TRUE(later(60'000));
  EXPECT_EQ(client->asked_why.size(), 1U) << "to look ends the connection: once a day";
}

TEST_F(DaemonTest, AHelloThatIsAnsweredIsNotLookedInto) {
  const auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  client->connect();
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  client->deliver({"instar/v1/d/d/ack", to_bytes("anything"), wire::Qos::at_most_once, wire::Retain::no});
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  now.monotonic = now.monotonic + 60'000;
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_TRUE(client->asked_why.empty());
}

TEST_F(DaemonTest, FirstStartLeavesADurableStateAndAKey) {
  const auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  EXPECT_TRUE(std::filesystem::exists(config.state_dir + "/state"));
  struct stat key_file {};
  ASSERT_EQ(::stat((config.state_dir + "/identity.key").c_str(), &key_file), 0);
  EXPECT_EQ(key_file.st_mode & 07777U, 0600U);
  EXPECT_TRUE(client->started);
  const auto status = read_status(config);
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(status->state.boot, 1U);
  EXPECT_THAT(status_json(*status), HasSubstr("\"running\":null"));
  EXPECT_THAT(status_text(*status), HasSubstr("daemon      not running"));
}

TEST_F(DaemonTest, ReadsTheOwnersInstructionWhileItRuns) {
  ASSERT_TRUE(write_owner_word(config.state_dir, {true, false, ""}).has_value());
  auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  client->connect();
  offer({});
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  const auto held = read_status(config).value();
  EXPECT_EQ(held.state.phase, revision::Phase::idle);
  EXPECT_THAT(status_text(held), HasSubstr("waits       held by the device's owner"));
  EXPECT_THAT(status_text(held), HasSubstr("owner       updates are held (instar-device unhold lets them go on)"));
  EXPECT_THAT(status_json(held), HasSubstr("\"held\":true"));
  EXPECT_THAT(status_json(held), HasSubstr("\"waits\":\"held by the device's owner\""));
  ASSERT_TRUE(write_owner_word(config.state_dir, {}).has_value());
  for (int i = 0; i < 100 && read_status(config)->state.phase == revision::Phase::idle; ++i)
    ASSERT_TRUE((*daemon)->turn(stop_fd, 100));
  const auto free = read_status(config).value();
  EXPECT_EQ(free.state.phase, revision::Phase::fetching);
  EXPECT_EQ(free.state.permission.waits, "");
}

TEST_F(DaemonTest, AnUnreadableInstructionOfTheOwnerHoldsUpdates) {
  auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  client->connect();
  ASSERT_TRUE(files::write_file_atomic(config.state_dir + "/owner/word", as_bytes("hol")).has_value());
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  offer({});
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_EQ(read_status(config)->state.permission.waits, "held by the device's owner");
}

TEST_F(DaemonTest, NoticesAChangedClockWhileItWaitsForAWindow) {
  auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  client->connect();
  wire::Policy policy;
  policy.windows = {{4 /* Wednesday */, 3 * 60, 60}};  // it is Tuesday, 22:13:20
  offer(policy);
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_THAT(read_status(config)->state.permission.waits,
              HasSubstr("waits for its maintenance window; it is Tue 22:13"));
  now.wall = now.wall + std::int64_t{5} * 3'600 * 1'000;
  now.monotonic = now.monotonic + 61'000;
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_EQ(read_status(config)->state.phase, revision::Phase::fetching);
}

TEST_F(DaemonTest, AnAssignmentOfGroupsChangesItsSubscriptions) {
  auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  client->subscriptions = options.subscriptions;
  client->connect();
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  const wire::Assignment assignment{config.device_id, {GroupPath::parse("lab").value()}, WallMs{1'000}};
  client->deliver({"instar/v1/d/d/assign", trust::seal(trust::Kind::assignment, wire::encode(assignment), key(2)),
                   wire::Qos::at_least_once, wire::Retain::yes});
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  std::vector<std::string> filters;
  for (const auto& subscription : client->subscriptions) filters.push_back(subscription.filter);
  EXPECT_THAT(filters, testing::Contains("instar/v1/manifest/lab/p"));
  EXPECT_THAT(filters, testing::Not(testing::Contains("instar/v1/manifest/plant/line/p")));
  EXPECT_THAT(filters, testing::Contains("instar/v1/d/d/chunk"));
  EXPECT_EQ(topics().back(), "instar/v1/d/d/hello");
}

TEST_F(DaemonTest, SaysWhatItListensToAndListensToNothingOfOtherProducts) {
  log_level = LogLevel::notice;
  testing::internal::CaptureStderr();
  const auto daemon = open();
  const std::string lines = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  EXPECT_THAT(lines, HasSubstr("listening to plant, plant/line for product p\n"));
  for (const auto& subscription : options.subscriptions) {
    const auto topic = wire::Topics().parse(subscription.filter);
    const bool is_of_releases =
        topic && (topic->kind == wire::TopicKind::group_manifest || topic->kind == wire::TopicKind::group_gate);
    if (is_of_releases) {
      EXPECT_EQ(topic->product, "p") << subscription.filter;
    }
    EXPECT_EQ(subscription.filter.find('#'), std::string::npos) << subscription.filter;
  }
}

// The broker keeps a session: what the device was configured to before would come for ever.
TEST_F(DaemonTest, UnsubscribesFromWhatComesForAProductOrGroupThatItHadBefore) {
  auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  client->subscriptions = options.subscriptions;
  const std::vector<std::string> before{"instar/v1/manifest/plant/line/old", "instar/v1/gate/elsewhere/p"};
  for (const auto& topic : before) client->subscriptions.push_back({topic, wire::Qos::at_least_once, true});
  client->connect();
  for (const auto& topic : before)
    client->deliver({topic, to_bytes("whatever"), wire::Qos::at_least_once, wire::Retain::yes});
  client->deliver({"instar/v1/manifest/plant/p", to_bytes("?"), wire::Qos::at_least_once, wire::Retain::yes});
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  std::vector<std::string> filters;
  for (const auto& subscription : client->subscriptions) filters.push_back(subscription.filter);
  for (const auto& topic : before) EXPECT_THAT(filters, testing::Not(Contains(topic)));
  EXPECT_THAT(filters, Contains("instar/v1/manifest/plant/p"));
}

TEST_F(DaemonTest, ConnectsAsTheDeviceWithItsSubscriptionsAndWill) {
  const auto daemon = open();
  ASSERT_TRUE(daemon.has_value());
  EXPECT_EQ(options.client_id, "d");
  EXPECT_FALSE(options.clean_session);
  std::vector<std::string> filters;
  for (const auto& subscription : options.subscriptions) filters.push_back(subscription.filter);
  for (const char* filter : {"instar/v1/root", "instar/v1/manifest/plant/line/p", "instar/v1/manifest/plant/p",
                             "instar/v1/gate/plant/line/p", "instar/v1/d/d/chunk", "instar/v1/d/d/ack"})
    EXPECT_THAT(filters, Contains(filter));
  ASSERT_TRUE(options.will.has_value());
  EXPECT_EQ(options.will->topic, "instar/v1/d/d/presence");
  EXPECT_EQ(options.will->retain, wire::Retain::yes);
  EXPECT_THAT(as_text(options.will->payload), HasSubstr("\"state\":\"offline\""));
}

TEST_F(DaemonTest, SaysHelloFirstThenPresence) {
  const auto daemon = open();
  client->connect();
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_THAT(topics(), ElementsAre("instar/v1/d/d/hello", "instar/v1/d/d/presence"));
  EXPECT_THAT(as_text(client->published[1].payload), HasSubstr("\"state\":\"online\""));
  EXPECT_EQ(client->published[1].retain, wire::Retain::yes);
}

TEST_F(DaemonTest, StopsWithAnOrderlyDisconnect) {
  const auto daemon = open();
  client->connect();
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(stop_fd, &one, sizeof one), 8);
  EXPECT_EQ((*daemon)->run(stop_fd), 0);
  EXPECT_TRUE(client->stopped);
  EXPECT_EQ(topics().back(), "instar/v1/d/d/presence");
  EXPECT_THAT(as_text(client->published.back().payload), HasSubstr("stopped"));
}

TEST_F(DaemonTest, RefusesToGoOnWhenTheStateCannotBeWritten) {
  auto daemon = open();
  ASSERT_TRUE(daemon.has_value());
  client->connect();
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  const std::size_t before = client->published.size();
  std::filesystem::remove_all(config.state_dir);  // root may write anywhere, but not into a folder that is gone
  client->deliver(
      {"instar/v1/manifest/plant/p", to_bytes("not an envelope"), wire::Qos::at_least_once, wire::Retain::yes});
  client->disconnect("gone");
  client->connect();
  bool failed = false;
  for (int i = 0; i < 5 && !failed; ++i) failed = !(*daemon)->turn(stop_fd, 0);
  if (failed) {
    EXPECT_EQ(client->published.size(), before) << "nothing left the process after the failed write";
    EXPECT_EQ((*daemon)->run(stop_fd), 1);
  }
  std::filesystem::create_directories(config.state_dir);
  EXPECT_TRUE(failed);
}

TEST_F(DaemonTest, SaysWhatDoesNotWorkOnItsMachine) {
  troubles = {"there is no watchdog"};
  auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  client->connect();
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_THAT(degraded(), ElementsAre("there is no watchdog"));
}

TEST_F(DaemonTest, AConnectionThatCannotBeTriedIsTriedLaterAndKeepsNothingElseBack) {
  config.username = "u";
  config.password_file = folder / "password";
  auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << "what is committed runs: " << daemon.error().message;
  EXPECT_EQ(client, nullptr);
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_EQ(client, nullptr) << "not a minute later yet";
  std::ofstream(config.password_file) << "secret";
  ASSERT_EQ(::chmod(config.password_file.c_str(), 0600), 0);
  now.monotonic = now.monotonic + 61'000;
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(options.password, "secret");
  client->connect();
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_THAT(degraded(), IsEmpty());
}

TEST_F(DaemonTest, AnotherNameAndProductGoOnFromTheSameState) {
  {
    auto daemon = open();
    ASSERT_TRUE(daemon.has_value());
    client->connect();
    offer({});
    for (int i = 0; i < 5; ++i) ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
    ASSERT_EQ(read_status(config)->state.history.highest_sequence, 1U);
  }
  config.device_id = DeviceId::parse("renamed").value();
  ASSERT_TRUE(open().has_value());
  EXPECT_EQ(read_status(config)->state.device, "renamed");
  EXPECT_EQ(read_status(config)->state.history.highest_sequence, 1U);
  config.product = "another";
  ASSERT_TRUE(open().has_value());
  EXPECT_EQ(read_status(config)->state.history.highest_sequence, 0U);
  ASSERT_TRUE(open().has_value());
  EXPECT_EQ(read_status(config)->state.history.highest_sequence, 0U) << "the anchor does not bring it back";
}

TEST_F(DaemonTest, AnUnreadableStateIsKeptAndTheDeviceStartsFromNothing) {
  ASSERT_TRUE(open().has_value());
  std::filesystem::create_directories(config.state_dir + "/revisions/1");
  std::ofstream(config.state_dir + "/state") << "torn";
  const auto daemon = open();
  ASSERT_TRUE(daemon.has_value()) << daemon.error().message;
  EXPECT_EQ(read_status(config)->state.boot, 1U);
  EXPECT_TRUE(std::filesystem::exists(config.state_dir + "/state.unreadable-1700000000000"));
  EXPECT_TRUE(std::filesystem::exists(config.state_dir + "/revisions.unreadable-1700000000000/1"));
  EXPECT_TRUE(std::filesystem::is_empty(config.state_dir + "/revisions"));
}

TEST_F(DaemonTest, AStateThatIsDamagedOrGoneIsStartedAnewFromTheAnchor) {
  {
    auto daemon = open();
    ASSERT_TRUE(daemon.has_value());
    client->connect();
    offer({});
    for (int i = 0; i < 5; ++i) ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
    ASSERT_EQ(read_status(config)->state.history.highest_sequence, 1U);
  }
  std::filesystem::remove(folder / "root");  // it is not needed any more
  std::ofstream(config.state_dir + "/state") << "torn";
  ASSERT_TRUE(open().has_value());
  EXPECT_EQ(read_status(config)->state.history.highest_sequence, 1U);
  std::filesystem::remove(config.state_dir + "/state");
  std::filesystem::create_directories(config.state_dir + "/revisions/7");
  ASSERT_TRUE(open().has_value());
  const auto state = read_status(config)->state;
  EXPECT_EQ(state.history.highest_sequence, 1U);
  EXPECT_EQ(state.revisions.next_number, 8U) << "a container may still run from the folder";
}

TEST_F(DaemonTest, ADamagedAnchorIsMadeAnewFromTheState) {
  ASSERT_TRUE(open().has_value());
  const auto good = files::read_spared_file(anchor_path(config.state_dir), 100'000).value();
  std::ofstream(anchor_path(config.state_dir)) << "torn";
  ASSERT_TRUE(open().has_value());
  EXPECT_EQ(files::read_spared_file(anchor_path(config.state_dir), 100'000).value(), good);
  EXPECT_EQ(read_status(config)->state.boot, 2U);
}

TEST_F(DaemonTest, NeedsARootThatVerifies) {
  std::filesystem::remove(folder / "root");
  const auto missing = open();
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().message, HasSubstr(folder / "root"));
  std::ofstream(folder / "root") << "not a root";
  const auto wrong = open();
  ASSERT_FALSE(wrong.has_value());
  EXPECT_THAT(wrong.error().message, HasSubstr("root"));
}

TEST_F(DaemonTest, AfterTheFirstStartTheRootFileIsNotNeeded) {
  ASSERT_TRUE(open().has_value());
  std::filesystem::remove(folder / "root");
  EXPECT_TRUE(open().has_value());
  EXPECT_EQ(read_status(config)->state.boot, 2U);
}

TEST_F(DaemonTest, RemovesFoldersThatTheStateDoesNotKnow) {
  std::filesystem::create_directories(config.state_dir + "/revisions/7");
  std::filesystem::create_directories(config.state_dir + "/revisions/8x");
  const auto daemon = open();
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_THAT(staging.removed, ElementsAre(7U));
}

TEST_F(DaemonTest, ReportsFreeSpaceOnceAMinute) {
  const auto daemon = open();
  const auto reported_bytes = [&] {
    client->connect();
    EXPECT_TRUE((*daemon)->turn(stop_fd, 0));
    const auto hello =
        std::ranges::find_if(client->published, [](const auto& message) { return message.topic.ends_with("/hello"); });
    const auto envelope = trust::parse_envelope(hello->payload);
    const auto bytes = wire::decode_hello(envelope->payload)->description.free_bytes;
    client->published.clear();
    client->disconnect("");
    return bytes;
  };
  staging.bytes_free = 5'000'000;
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_EQ(reported_bytes(), 5'000'000U);
  staging.bytes_free = 7'000'000;
  EXPECT_EQ(reported_bytes(), 5'000'000U);
  now.monotonic.value += 60'000;
  EXPECT_EQ(reported_bytes(), 7'000'000U);
}

TEST_F(DaemonTest, AMessageOfGarbageChangesNothing) {
  const auto daemon = open();
  client->connect();
  ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  for (const char* topic : {"instar/v1/root", "instar/v1/manifest/plant/p", "instar/v1/gate/plant/p",
                            "instar/v1/d/d/chunk", "instar/v1/d/d/ack", "instar/v1/d/other/chunk", "elsewhere", ""})
    client->deliver({topic, to_bytes("garbage"), wire::Qos::at_most_once, wire::Retain::no});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE((*daemon)->turn(stop_fd, 0));
  EXPECT_EQ((*daemon)->machine().view().current_revision, 0U);
}

TEST(StateLock, AdmitsOneDaemon) {
  const files::TemporaryFolder folder;
  EXPECT_EQ(StateLock::holder(folder.path()), 0);
  {
    const auto first = StateLock::take(folder.path());
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(StateLock::holder(folder.path()), ::getpid());
    const auto second = StateLock::take(folder.path());
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, Code::unavailable);
    EXPECT_THAT(second.error().message, HasSubstr(std::to_string(::getpid())));
  }
  EXPECT_EQ(StateLock::holder(folder.path()), 0);
  EXPECT_TRUE(StateLock::take(folder.path()).has_value());
}

TEST(Identity, IsMadeOnceAndNeverReplaced) {
  const files::TemporaryFolder folder;
  const auto first = load_identity(folder.path());
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(load_identity(folder.path())->public_key(), first->public_key());
  std::ofstream(folder / "identity.key") << "garbage";
  EXPECT_FALSE(load_identity(folder.path()).has_value());
  std::ifstream file(folder / "identity.key");
  std::string text;
  std::getline(file, text);
  EXPECT_EQ(text, "garbage");
}

}  // namespace
}  // namespace instar::device
