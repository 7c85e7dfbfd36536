// Real containers, started by the real instar-lxc. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "device-client/containers/supervisor.hpp"
#include "device-client/host.hpp"
#include "device-client/process/helper_process.hpp"
#include "device-client/process/switch_files.hpp"
#include "files/posix.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Events = std::vector<revision::Event>;

// Even on a busy machine nothing takes so long unless it hangs.
constexpr std::uint32_t kHangsMs = 5 * 60'000;
constexpr std::chrono::milliseconds kHangs{kHangsMs};

bool alive(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("State:")) return line.find('Z') == std::string::npos;
  return false;
}

pid_t parent_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("PPid:")) return std::stoi(line.substr(5));
  return -1;
}

// LXC says RUNNING a moment before the payload is executed.
void wait_for_payload(pid_t pid) {
  for (const auto end = std::chrono::steady_clock::now() + kHangs; std::chrono::steady_clock::now() < end;) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
    std::string line;
    std::getline(file, line);
    if (line.starts_with("/bin/payload")) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ADD_FAILURE() << "process " << pid << " does not become the payload";
}

class LxcTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::geteuid(), 0U) << "these tests start containers: run them as root";
    // Each test has its own name, because others may run at the same time.
    device = "t" + std::to_string(::getpid());
    config = parse_config("device_id = " + device +
                              "\nproduct = p\ngroups = g\nserver = tcp://x:1\nstop_timeout_s = 1\nstate_dir = " +
                              folder.path() + "\n",
                          "x")
                 .value();
    ASSERT_TRUE(prepare_state_dir(config).has_value());
    restart_daemon();
  }
  void TearDown() override {
    if (!supervisor) return;
    supervisor->switch_back({1, 0, std::nullopt});
    work(1);
  }
  void restart_daemon() {
    supervisor = std::make_unique<Supervisor>(SupervisorOptions{config, read_host(), INSTAR_LXC_HELPER, &log});
  }

  wire::Manifest staged(std::uint32_t revision, std::vector<std::string> init) {
    wire::Container container;
    container.name = "app";
    container.artifact.bytes.fill(static_cast<std::uint8_t>(revision));
    container.init = std::move(init);
    wire::Manifest manifest;
    manifest.containers = {container};
    const fs::path tree = tree_of(revision);
    for (const char* each : {"bin", "dev", "proc", "sys", "data"}) fs::create_directories(tree / each);
    fs::copy_file(INSTAR_LXC_PAYLOAD, tree / "bin/payload", fs::copy_options::overwrite_existing);
    return manifest;
  }
  fs::path tree_of(std::uint32_t revision) const {
    ArtifactId artifact;
    artifact.bytes.fill(static_cast<std::uint8_t>(revision));
    return fs::path(config.state_dir) / "revisions" / std::to_string(revision) / "artifacts" / artifact.hex() / "tree";
  }

  Events work(std::size_t count) {
    Events events;
    const auto deadline = std::chrono::steady_clock::now() + kHangs;
    while ((events.size() < count || !supervisor->is_settled()) && std::chrono::steady_clock::now() < deadline) {
      std::vector<pollfd> waiting;
      for (const int fd : supervisor->fds()) waiting.push_back({fd, POLLIN, 0});
      ::poll(waiting.data(), waiting.size(), 50);
      supervisor->poll(read_clocks().monotonic, events);
      supervisor->assert_invariants();
    }
    EXPECT_EQ(events.size(), count);
    return events;
  }
  template <typename T>
  T only(const Events& events) {
    if (events.size() == 1 && std::holds_alternative<T>(events[0])) return std::get<T>(events[0]);
    for (const auto& event : events)
      if (const auto* failed = std::get_if<revision::TryFailed>(&event)) ADD_FAILURE() << failed->error.message;
    ADD_FAILURE() << "another event came";
    return {};
  }
  void start(const wire::Manifest& manifest, std::uint32_t revision = 1) {
    supervisor->start_try({0, revision, manifest});
    EXPECT_EQ(only<revision::TryStarted>(work(1)).revision, revision);
  }
  revision::ProbeEnded probe(std::vector<std::string> command, std::uint32_t timeout_ms = kHangsMs) {
    command.insert(command.begin(), "/bin/payload");
    supervisor->run_probe({1, "app", {std::move(command), timeout_ms, 1000, 1}}, read_clocks().monotonic);
    return only<revision::ProbeEnded>(work(1));
  }
  JsonFields helper(const std::string& command, const std::string& option = "--name") {
    auto process = HelperProcess::spawn(
        {INSTAR_LXC_HELPER, {command, "--lxcpath", config.state_dir + "/lxc", option, device + ".app"}, {kHangsMs}},
        read_clocks().monotonic);
    EXPECT_TRUE(process.has_value());
    while (!process->poll(read_clocks().monotonic)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const auto lines = process->result();
    EXPECT_TRUE(lines.has_value());
    return lines ? lines->front() : JsonFields{};
  }
  pid_t init_pid() { return static_cast<pid_t>(helper("state").integer("pid").value_or(-1)); }

  files::TemporaryFolder folder;
  std::string device;
  Config config;
  Log log{LogLevel::error, false};
  std::unique_ptr<Supervisor> supervisor;
};

TEST_F(LxcTest, StartsAndStopsAContainer) {
  start(staged(1, {"/bin/payload", "serve"}));
  EXPECT_EQ(helper("state").text("state"), "RUNNING");
  const pid_t pid = init_pid();
  EXPECT_TRUE(alive(pid));
  supervisor->switch_back({1, 0, std::nullopt});
  EXPECT_EQ(only<revision::SwitchedBack>(work(1)).revision, 0U);
  EXPECT_FALSE(alive(pid));
  EXPECT_TRUE(fs::is_empty(config.state_dir + "/lxc"));
}

// Loop devices whose file is below `folder`.
std::vector<std::string> attached_below(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& each : fs::directory_iterator("/sys/block")) {
    std::ifstream file(each.path() / "loop/backing_file");
    std::string backing;
    if (std::getline(file, backing) && backing.starts_with(folder + "/")) found.push_back(backing);
  }
  return found;
}

TEST_F(LxcTest, AnImageThatCannotBeMountedFailsWithItsReasonAndIsReleased) {
  auto manifest = staged(1, {"/bin/payload", "serve"});
  wire::Artifact image;
  image.id = manifest.containers[0].artifact;
  image.kind = wire::ArtifactKind::image;
  image.image_format = wire::ImageFormat::ext4;
  manifest.artifacts = {image};
  std::ofstream(tree_of(1) / "image") << std::string(1'000'000, 'x');
  supervisor->start_try({0, 1, manifest});
  const auto failed = only<revision::TryFailed>(work(1));
  EXPECT_THAT(failed.error.message,
              HasSubstr("cannot mount the image " + (tree_of(1) / "image").string() + " as ext4"));
  EXPECT_THAT(attached_below(config.state_dir), ::testing::IsEmpty());
  // The next failure has its own reason.
  fs::remove(tree_of(1) / "image");
  supervisor->start_try({0, 1, manifest});
  EXPECT_THAT(only<revision::TryFailed>(work(1)).error.message, HasSubstr("cannot open the image"));
}

// A file system with few inodes at that folder, while this lives.
class SmallDisk {
 public:
  explicit SmallDisk(fs::path at) : at_(std::move(at)) {
    EXPECT_EQ(::mount("tmpfs", at_.c_str(), "tmpfs", 0, "size=16m,nr_inodes=400,mode=755"), 0);
  }
  ~SmallDisk() {
    files::set_room_maker({});
    EXPECT_EQ(::umount2(at_.c_str(), MNT_DETACH), 0);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

 private:
  fs::path at_;
};

// However many inodes are left. The kernel mounts an overlay that finds none for its work folder all the same, and it
// can only be read.
TEST_F(LxcTest, AStartOnAFullDiskIsTriedAgainWithMoreRoomUntilItsRootCanBeWritten) {
  const fs::path state = config.state_dir;
  const SmallDisk disk(state);
  ASSERT_TRUE(prepare_state_dir(config).has_value());
  std::vector<fs::path> fillers;
  const auto fill = [&] {
    for (bool is_made = true; is_made;) {
      fillers.push_back(state / ("filler-" + std::to_string(fillers.size())));
      is_made = std::ofstream(fillers.back()).is_open();
    }
    fillers.pop_back();
  };
  int tries = 0;
  const auto make_room = [&] {
    fs::remove(fillers.back());
    fillers.pop_back();
    return ++tries > 0;
  };
  files::set_room_maker([&](std::uint64_t) { return make_room(); });
  supervisor = std::make_unique<Supervisor>(
      SupervisorOptions{config, read_host(), INSTAR_LXC_HELPER, &log, [] { return false; }, make_room});
  for (std::uint32_t left = 0; left < 12; ++left) {
    const std::uint32_t revision = left + 1;
    const auto next = staged(revision, {"/bin/payload", "serve"});
    fill();
    for (std::uint32_t free = 0; free < left; ++free) make_room();
    start(next, revision);
    struct statvfs root {};
    ASSERT_EQ(::statvfs(("/proc/" + std::to_string(init_pid()) + "/root").c_str(), &root), 0);
    EXPECT_EQ(root.f_flag & ST_RDONLY, 0U) << left << " were left";
    while (!fillers.empty()) make_room();
  }
  supervisor->switch_back({1, 0, std::nullopt});
  work(1);
  supervisor.reset();
}

TEST_F(LxcTest, AProbePassesArgumentsExitCodeAndLastLine) {
  start(staged(1, {"/bin/payload", "serve"}));
  EXPECT_TRUE(probe({"exit", "0"}).passed);
  const auto failed = probe({"exit", "7"});
  EXPECT_FALSE(failed.passed);
  EXPECT_EQ(failed.detail, "exit code 7: last line");
  EXPECT_THAT(probe({"say", "two words \"and\" $quotes"}).detail, HasSubstr("3:two words \"and\" $quotes"));
  EXPECT_THAT(probe({"abort"}).detail, HasSubstr("signal 6"));
  supervisor->run_probe({1, "app", {{"/bin/nothere"}, kHangsMs, 1000, 1}}, read_clocks().monotonic);
  EXPECT_THAT(only<revision::ProbeEnded>(work(1)).detail, HasSubstr("127"));
}

TEST_F(LxcTest, AProbeAndItsProcessEndAtTheTimeout) {
  start(staged(1, {"/bin/payload", "serve"}));
  // On a busy machine it may not have printed anything by then. It gets a second try with more time.
  std::uint32_t time_ms = 300;
  auto late = probe({"hang"}, time_ms);
  while (late.detail.find("still waiting") == std::string::npos && time_ms < kHangsMs) {
    time_ms *= 2;
    late = probe({"hang"}, time_ms);
  }
  EXPECT_FALSE(late.passed);
  EXPECT_EQ(late.detail, "timed out after " + std::to_string(time_ms) + " ms: still waiting");
  EXPECT_TRUE(probe({"fork-and-exit"}).passed) << "a child that stays does not hold it up";
}

TEST_F(LxcTest, AProbeOfAContainerThatIsNotThereFails) {
  staged(1, {"/bin/payload", "serve"});
  EXPECT_FALSE(probe({"exit", "0"}).passed);
}

TEST_F(LxcTest, ACommandThatCannotBeRunFailsTheTrialWithTheReason) {
  supervisor->start_try({0, 1, staged(1, {"/bin/nothere"})});
  const auto failed = only<revision::TryFailed>(work(1));
  EXPECT_THAT(failed.error.message, HasSubstr("/bin/nothere"));
  EXPECT_THAT(failed.error.message, HasSubstr("No such file or directory"));
}

TEST_F(LxcTest, ReportsACrash) {
  start(staged(1, {"/bin/payload", "crash-once", "/data/crash"}));
  // The probe that makes it crash may end with it.
  supervisor->run_probe({1, "app", {{"/bin/payload", "write", "/data/crash"}, kHangsMs, 1000, 1}},
                        read_clocks().monotonic);
  Events events = work(2);
  std::erase_if(events, [](const auto& event) { return std::holds_alternative<revision::ProbeEnded>(event); });
  ASSERT_EQ(events.size(), 1U);
  ASSERT_TRUE(std::holds_alternative<revision::ContainerStopped>(events[0]));
  EXPECT_EQ(std::get<revision::ContainerStopped>(events[0]).container, "app");
}

TEST_F(LxcTest, StopsAContainerThatIgnoresTheSignal) {
  start(staged(1, {"/bin/payload", "deaf"}));
  const pid_t pid = init_pid();
  supervisor->switch_back({1, 0, std::nullopt});
  EXPECT_EQ(only<revision::SwitchedBack>(work(1)).revision, 0U);
  EXPECT_FALSE(alive(pid));
}

TEST_F(LxcTest, SwitchesToAnotherTreeAndBackWithTheOldOneUnchanged) {
  const auto old = staged(1, {"/bin/payload", "serve"});
  start(old);
  EXPECT_TRUE(probe({"write", "/data/written"}).passed);
  EXPECT_FALSE(fs::exists(tree_of(1) / "data/written")) << "the tree itself is never written";
  supervisor->start_try({1, 2, staged(2, {"/bin/payload", "serve"})});
  const auto started = only<revision::TryStarted>(work(1));
  EXPECT_GT(started.downtime_ms, 0U);
  EXPECT_FALSE(probe({"exists", "/data/written"}).passed) << "the writable layer belongs to its revision";
  supervisor->switch_back({2, 1, old});
  only<revision::SwitchedBack>(work(1));
  EXPECT_TRUE(probe({"exists", "/data/written"}).passed) << "and is there again after going back";
}

TEST_F(LxcTest, SeveralContainersSwitchTogetherAndAnUnchangedOneRunsOn) {
  // `hub` is the same in both, `app` differs, `old` is removed and `new` is added.
  const auto release = [&](std::uint32_t revision, const std::string& third) {
    auto manifest = staged(revision, {"/bin/payload", "serve"});
    auto hub = manifest.containers.front();
    hub.name = "hub";
    hub.start_order = 1;
    hub.artifact.bytes.fill(99);
    auto other = manifest.containers.front();
    other.name = third;
    other.start_order = 3;
    manifest.containers.front().start_order = 2;
    manifest.containers.insert(manifest.containers.end(), {hub, other});
    const auto shared =
        fs::path(config.state_dir) / "revisions" / std::to_string(revision) / "artifacts" / hub.artifact.hex();
    fs::create_directories(shared);
    fs::copy(tree_of(revision), shared / "tree", fs::copy_options::recursive);
    return manifest;
  };
  const auto pid_of = [&](const std::string& container) {
    auto process =
        HelperProcess::spawn({INSTAR_LXC_HELPER,
                              {"state", "--lxcpath", config.state_dir + "/lxc", "--name", device + "." + container},
                              {kHangsMs}},
                             read_clocks().monotonic);
    while (!process->poll(read_clocks().monotonic)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const auto lines = process->result();
    return lines ? lines->front().integer("pid").value_or(-1) : -1;
  };
  start(release(1, "old"));
  const auto hub = pid_of("hub");
  const auto app = pid_of("app");
  const auto old = pid_of("old");
  for (const auto pid : {hub, app, old}) EXPECT_TRUE(alive(static_cast<pid_t>(pid)));
  supervisor->start_try({1, 2, release(2, "new")});
  EXPECT_GT(only<revision::TryStarted>(work(1)).downtime_ms, 0U);
  EXPECT_EQ(pid_of("hub"), hub) << "it was not touched";
  EXPECT_FALSE(alive(static_cast<pid_t>(app)));
  EXPECT_FALSE(alive(static_cast<pid_t>(old)));
  EXPECT_TRUE(alive(static_cast<pid_t>(pid_of("app"))));
  EXPECT_TRUE(alive(static_cast<pid_t>(pid_of("new"))));
  EXPECT_FALSE(fs::exists(config.state_dir + "/lxc/" + device + ".old"));
}

TEST_F(LxcTest, ASwitchWhoseFilesCannotBeReadStopsNothing) {
  start(staged(1, {"/bin/payload", "serve"}));
  const pid_t pid = init_pid();
  const auto next = config.state_dir + "/lxc/" + device + ".app" + kNextImage;
  fs::create_directory(next);  // it can be opened, and reading it fails
  const auto line = helper("switch", "--start");
  EXPECT_THAT(std::string(line.text("failed").value_or("")), HasSubstr(next));
  EXPECT_TRUE(alive(pid));
  fs::remove(next);
}

TEST_F(LxcTest, ASwitchWhoseSecondContainerCannotStartSaysWhichAndWhy) {
  auto manifest = staged(1, {"/bin/payload", "serve"});
  auto broken = manifest.containers.front();
  broken.name = "broken";
  broken.start_order = 1;
  broken.init = {"/bin/nothere"};
  manifest.containers.push_back(broken);
  supervisor->start_try({0, 1, manifest});
  const auto failed = only<revision::TryFailed>(work(1));
  EXPECT_THAT(failed.error.message, HasSubstr("starting container broken"));
  EXPECT_THAT(failed.error.message, HasSubstr("/bin/nothere"));
  supervisor->switch_back({1, 0, std::nullopt});
  EXPECT_EQ(only<revision::SwitchedBack>(work(1)).revision, 0U);
}

TEST_F(LxcTest, VolumesStayWhenRevisionsChange) {
  auto first = staged(1, {"/bin/payload", "serve"});
  first.containers[0].volumes = {{"db", "/var/lib/my data", 0750, 0, 0}};
  start(first);
  EXPECT_TRUE(probe({"write", "/var/lib/my data/row"}).passed);
  auto second = staged(2, {"/bin/payload", "serve"});
  second.containers[0].volumes = first.containers[0].volumes;
  start(second, 2);
  EXPECT_TRUE(probe({"exists", "/var/lib/my data/row"}).passed);
  EXPECT_TRUE(fs::exists(config.state_dir + "/volumes/db/row"));
}

TEST_F(LxcTest, AVolumeIsNeverMountedThroughALinkOfTheTree) {
  const fs::path host = fs::path(folder.path()) / "host";
  fs::create_directories(host);
  auto manifest = staged(1, {"/bin/payload", "serve"});
  fs::create_symlink(host, tree_of(1) / "link");
  manifest.containers[0].volumes = {{"db", "/link/etc/evil", 0755, 0, 0}};
  supervisor->start_try({0, 1, manifest});
  const auto failed = only<revision::TryFailed>(work(1));
  EXPECT_THAT(failed.error.message, HasSubstr("container app"));
  EXPECT_THAT(failed.error.message, HasSubstr("volume 'db' at /link/etc/evil passes a link: /link "));
  EXPECT_TRUE(fs::is_empty(host)) << "nothing was made on the host";
}

TEST_F(LxcTest, AVolumeIsNeverMountedThroughALinkThatTheContainerLeft) {
  const fs::path host = fs::path(folder.path()) / "host";
  fs::create_directories(host);
  auto manifest = staged(1, {"/bin/payload", "serve"});
  manifest.containers[0].volumes = {{"db", "/made/db", 0755, 0, 0}};
  start(manifest);
  EXPECT_TRUE(probe({"move", "/made", "/moved"}).passed);
  EXPECT_TRUE(probe({"link", host.string(), "/made"}).passed);
  ::kill(init_pid(), SIGKILL);
  only<revision::ContainerStopped>(work(1));
  supervisor->start_try({0, 1, manifest});
  EXPECT_THAT(only<revision::TryFailed>(work(1)).error.message, HasSubstr("passes a link: /made "));
  EXPECT_TRUE(fs::is_empty(host)) << "nothing was made on the host";
}

TEST_F(LxcTest, AVolumeLiesInAnotherVolume) {
  auto manifest = staged(1, {"/bin/payload", "serve"});
  manifest.containers[0].volumes = {{"inner", "/data/outer/inner", 0755, 0, 0}, {"outer", "/data/outer", 0755, 0, 0}};
  start(manifest);
  EXPECT_TRUE(probe({"write", "/data/outer/inner/row"}).passed);
  EXPECT_TRUE(fs::exists(config.state_dir + "/volumes/inner/row"));
  EXPECT_TRUE(fs::exists(config.state_dir + "/volumes/outer/inner")) << "the mount point";
  EXPECT_FALSE(fs::exists(config.state_dir + "/volumes/outer/inner/row"));
}

TEST_F(LxcTest, AContainerHasLoopbackAndNoAccessToTheHost) {
  start(staged(1, {"/bin/payload", "serve"}));
  EXPECT_TRUE(probe({"loopback"}).passed);
  EXPECT_THAT(probe({"escape"}).detail, HasSubstr("could:"));
  EXPECT_EQ(probe({"escape"}).detail, "exit code 0: could:");
}

TEST_F(LxcTest, AProgramThatWaitsForItsSignalEndsByItself) {
  start(staged(1, {"/bin/payload", "serve"}));
  EXPECT_EQ(helper("switch", "--stop").text("ending"), "itself");
  only<revision::ContainerStopped>(work(1));
}

TEST_F(LxcTest, AProgramWithoutAHandlerIsKilledWhenTheOthersHaveEnded) {
  auto manifest = staged(1, {"/bin/payload", "company", "/kept/asked"});
  manifest.containers[0].volumes = {{"kept", "/kept", 0755, 0, 0}};
  start(manifest);
  const pid_t pid = init_pid();
  const auto stopped = helper("switch", "--stop");
  EXPECT_EQ(stopped.text("ending"), "deaf");
  EXPECT_EQ(stopped.text("signal"), "SIGTERM");
  EXPECT_FALSE(alive(pid));
  EXPECT_EQ(only<revision::ContainerStopped>(work(1)).container, "app") << "nobody of this client stopped it";
  EXPECT_TRUE(fs::exists(config.state_dir + "/volumes/kept/asked")) << "the other program was asked, and waited for";
}

TEST_F(LxcTest, AProgramThatRunsOnAfterItsSignalIsReportedWithTheSwitch) {
  start(staged(1, {"/bin/payload", "slow"}));
  wait_for_payload(init_pid());
  EXPECT_TRUE(probe({"exit", "0"}).passed);
  supervisor->start_try({1, 2, staged(2, {"/bin/payload", "serve"})});
  EXPECT_THAT(only<revision::TryStarted>(work(1)).remark, HasSubstr("did not react to SIGTERM in "));
}

TEST_F(LxcTest, AContainerHasBoundedMemoryFilesOfItsOwn) {
  start(staged(1, {"/bin/payload", "serve"}));
  EXPECT_TRUE(probe({"semaphore"}).passed);
  const auto bytes = std::to_string(tmpfs_bytes(read_host().memory_bytes));
  EXPECT_EQ(probe({"bounded", "/dev/shm", bytes}).detail, "exit code 0: " + bytes + " bytes");
  EXPECT_EQ(probe({"bounded", "/tmp", bytes}).detail, "exit code 0: " + bytes + " bytes") << "the tree has none";
}

TEST_F(LxcTest, ALinkAtTmpStaysAndLeadsNowhere) {
  const fs::path host = fs::path(folder.path()) / "host";
  fs::create_directories(host);
  const auto manifest = staged(1, {"/bin/payload", "serve"});
  fs::create_symlink(host, tree_of(1) / "tmp");
  start(manifest);
  EXPECT_FALSE(probe({"write", "/tmp/x"}).passed) << "there is no such folder in the container";
  EXPECT_TRUE(fs::is_empty(host));
}

TEST_F(LxcTest, AFolderOfTheTreeCanBeRenamed) {
  ASSERT_TRUE(read_host().renames_folders);
  const auto manifest = staged(1, {"/bin/payload", "serve"});
  std::ofstream(tree_of(1) / "data/file") << "x";
  start(manifest);
  EXPECT_EQ(probe({"move", "/data", "/moved"}).detail, "exit code 0");
  EXPECT_TRUE(probe({"exists", "/moved/file"}).passed);
  EXPECT_TRUE(fs::exists(tree_of(1) / "data/file"));
}

TEST_F(LxcTest, AContainerFindsItselfAndTheHostsResolver) {
  config.network = Network::host;
  restart_daemon();
  auto manifest = staged(1, {"/bin/payload", "serve"});
  fs::create_directories(tree_of(1) / "etc");
  std::ofstream(tree_of(1) / "etc/resolv.conf") << "nameserver 192.0.2.1\n";  // of the machine where the tree was made
  start(manifest);
  EXPECT_THAT(probe({"line", "/etc/hosts", "127.0.1.1"}).detail, HasSubstr("127.0.1.1 app"));
  EXPECT_TRUE(probe({"write", "/etc/hosts"}).passed) << "it is the container's own";
  EXPECT_TRUE(probe({"exists", "/etc/localtime"}).passed);
  EXPECT_TRUE(probe({"line", "/etc/resolv.conf", "# Put here by instar-device"}).passed) << "not the tree's";
  EXPECT_FALSE(probe({"write", "/etc/resolv.conf"}).passed);
}

TEST_F(LxcTest, ALinkToWhatNobodyMakesGivesWayToTheHostsResolver) {
  config.network = Network::host;
  restart_daemon();
  const auto manifest = staged(1, {"/bin/payload", "serve"});
  fs::create_directories(tree_of(1) / "etc");
  fs::create_symlink("/run/systemd/resolve/stub-resolv.conf", tree_of(1) / "etc/resolv.conf");
  start(manifest);
  EXPECT_TRUE(probe({"line", "/etc/resolv.conf", "# Put here by instar-device"}).passed);
  EXPECT_TRUE(fs::is_symlink(tree_of(1) / "etc/resolv.conf"));
}

TEST_F(LxcTest, AContainerInheritsNothingThatIsTheClients) {
  const auto umask = ::umask(077);
  std::ofstream("/proc/self/oom_score_adj") << -500;
  start(staged(1, {"/bin/payload", "serve"}));
  ::umask(umask);
  std::ofstream("/proc/self/oom_score_adj") << 0;
  EXPECT_THAT(probe({"line", "/proc/1/status", "Umask:"}).detail, HasSubstr("0022"));
  EXPECT_TRUE(probe({"line", "/proc/1/oom_score_adj", "0"}).passed);
}

TEST_F(LxcTest, AContainerRunsOnAfterAKillOfTheDaemonAndIsFoundAgain) {
  const auto manifest = staged(1, {"/bin/payload", "serve"});
  const pid_t daemon = ::fork();
  ASSERT_GE(daemon, 0);
  if (daemon == 0) {
    restart_daemon();
    supervisor->start_try({0, 1, manifest});
    work(1);
    for (;;) ::pause();
  }
  pid_t pid = -1;
  for (const auto end = std::chrono::steady_clock::now() + kHangs;
       pid <= 0 && std::chrono::steady_clock::now() < end;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (fs::exists(config.state_dir + "/lxc/" + device + ".app/config")) pid = init_pid();
  }
  ASSERT_GT(pid, 0);
  ::kill(daemon, SIGKILL);
  ::waitpid(daemon, nullptr, 0);
  EXPECT_TRUE(alive(pid));

  restart_daemon();
  supervisor->ensure_running({1, manifest});
  work(0);
  EXPECT_EQ(init_pid(), pid) << "the same container, not a second one";
  EXPECT_TRUE(probe({"exit", "0"}).passed);
  ::kill(pid, SIGKILL);
  EXPECT_EQ(only<revision::ContainerStopped>(work(1)).container, "app") << "and it is watched again";
}

TEST_F(LxcTest, AnOrphanOfADeadMonitorIsEndedBeforeTheNextStart) {
  // By default the kernel ends init with its monitor. If that signal is lost, or switched off as here, an orphan is
  // left.
  config.lxc_keys_allowed = {"lxc.monitor.signal.pdeath"};
  restart_daemon();
  auto manifest = staged(1, {"/bin/payload", "serve"});
  manifest.containers.front().settings = {{"lxc.monitor.signal.pdeath", "0"}};
  start(manifest);
  const pid_t orphan = init_pid();
  const pid_t monitor = parent_of(orphan);
  wait_for_payload(orphan);
  ASSERT_GT(monitor, 1);
  ::kill(monitor, SIGKILL);
  while (alive(monitor)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(alive(orphan)) << "this is what LXC does not know of";
  EXPECT_EQ(helper("state").text("state"), "STOPPED");

  restart_daemon();
  supervisor->ensure_running({1, manifest});
  work(0);
  EXPECT_FALSE(alive(orphan));
  EXPECT_TRUE(alive(init_pid()));

  // The same when it is not wanted any more.
  const pid_t second = init_pid();
  wait_for_payload(second);
  ::kill(parent_of(second), SIGKILL);
  restart_daemon();
  supervisor->switch_back({1, 0, std::nullopt});
  only<revision::SwitchedBack>(work(1));
  EXPECT_FALSE(alive(second));
}

TEST_F(LxcTest, TwoRequestsToStartGiveOneContainer) {
  const auto manifest = staged(1, {"/bin/payload", "serve"});
  start(manifest);
  const pid_t pid = init_pid();
  const auto again = helper("switch", "--start");
  EXPECT_TRUE(again.flag("already"));
  EXPECT_EQ(again.integer("pid"), pid);
}

TEST_F(LxcTest, LeavesNoCgroupsBehind) {
  start(staged(1, {"/bin/payload", "serve"}));
  supervisor->switch_back({1, 0, std::nullopt});
  work(1);
  std::error_code error;
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup", error)) {
    std::error_code inner;
    for (const auto& group : fs::directory_iterator(hierarchy.path(), inner))
      EXPECT_EQ(group.path().filename().string().find(device + ".app"), std::string::npos) << group.path();
  }
}

}  // namespace
}  // namespace instar::device
