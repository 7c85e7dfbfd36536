#include "device-client/containers/container_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device-client/process/container_files.hpp"
#include "device-client/process/container_image.hpp"
#include "device-client/process/container_volumes.hpp"

namespace instar::device {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Config config() {
  auto parsed = parse_config(
      "device_id = press-12\nproduct = press\ngroups = g\nserver = tcp://x:1\nstate_dir = /data/instar\n", "x");
  return parsed.value_or(Config{});
}

wire::Container app() {
  wire::Container container;
  container.name = "app";
  container.artifact.bytes.fill(0xab);
  container.init = {"/usr/bin/app", "--serve all"};
  return container;
}

std::string text_of(const Config& with, const wire::Container& container) {
  const auto plan = plan_container(with, {}, 7, container);
  EXPECT_TRUE(plan.has_value()) << plan.error().message;
  return plan ? plan->config : std::string();
}

TEST(ContainerConfig, WritesTheWholeText) {
  const std::string hash(64, 'x');
  auto text = text_of(config(), app());
  const std::string hex = app().artifact.hex();
  EXPECT_EQ(text,
            "# Made by instar-device at each start of the container: changes are lost.\n"
            "lxc.rootfs.path = overlay:/data/instar/revisions/7/artifacts/" +
                hex +
                "/tree:/data/instar/revisions/7/containers/app/upper\n"
                "lxc.uts.name = app\n"
                "lxc.tty.max = 0\n"
                "lxc.pty.max = 64\n"
                "lxc.signal.halt = SIGTERM\n"
                "lxc.environment = PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                "lxc.environment = INSTAR_DEVICE=press-12\n"
                "lxc.net.0.type = empty\n"
                "lxc.net.0.flags = up\n"
                "lxc.mount.entry = tmpfs dev/shm tmpfs nosuid,nodev,noexec,mode=1777,size=1048576,nr_inodes=256,"
                "create=dir 0 0\n"
                "lxc.mount.entry = tmpfs tmp tmpfs nosuid,nodev,mode=1777,size=1048576,nr_inodes=256,create=dir,"
                "optional 0 0\n"
                "lxc.autodev = 1\n"
                "lxc.mount.auto = proc:mixed sys:ro cgroup:ro\n"
                "lxc.cap.drop = audit_control audit_read block_suspend bpf checkpoint_restore dac_read_search ipc_lock "
                "ipc_owner lease "
                "linux_immutable mac_admin mac_override mknod net_admin net_broadcast perfmon sys_admin sys_boot "
                "sys_module sys_nice "
                "sys_pacct sys_ptrace sys_rawio sys_resource sys_time sys_tty_config syslog wake_alarm\n"
                "lxc.cgroup.devices.deny = a\n"
                "lxc.cgroup.devices.allow = c 1:3 rwm\nlxc.cgroup.devices.allow = c 1:5 rwm\nlxc.cgroup.devices.allow "
                "= c 1:7 rwm\n"
                "lxc.cgroup.devices.allow = c 1:8 rwm\nlxc.cgroup.devices.allow = c 1:9 rwm\nlxc.cgroup.devices.allow "
                "= c 5:0 rwm\n"
                "lxc.cgroup.devices.allow = c 5:1 rwm\nlxc.cgroup.devices.allow = c 5:2 rwm\nlxc.cgroup.devices.allow "
                "= c 136:* rwm\n"
                "lxc.cgroup2.devices.deny = a\n"
                "lxc.cgroup2.devices.allow = c 1:3 rwm\nlxc.cgroup2.devices.allow = c 1:5 "
                "rwm\nlxc.cgroup2.devices.allow = c 1:7 rwm\n"
                "lxc.cgroup2.devices.allow = c 1:8 rwm\nlxc.cgroup2.devices.allow = c 1:9 "
                "rwm\nlxc.cgroup2.devices.allow = c 5:0 rwm\n"
                "lxc.cgroup2.devices.allow = c 5:1 rwm\nlxc.cgroup2.devices.allow = c 5:2 "
                "rwm\nlxc.cgroup2.devices.allow = c 136:* rwm\n"
                "lxc.log.file = /data/instar/lxc/press-12.app/log\n"
                "lxc.log.level = WARN\n");
}

TEST(ContainerConfig, AnImageIsMountedBelowTheContainersFolder) {
  const auto tree = plan_container(config(), {}, 7, app());
  const auto plan = plan_container(config(), {}, 7, app(), wire::ImageFormat::squashfs);
  ASSERT_TRUE(tree && plan);
  EXPECT_EQ(tree->image, "");
  EXPECT_THAT(plan->config, HasSubstr("lxc.rootfs.path = overlay:/data/instar/lxc/press-12.app/lower:"
                                      "/data/instar/revisions/7/containers/app/upper\n"));
  EXPECT_THAT(plan->config, HasSubstr("lxc.rootfs.options = nodev\n"));
  const auto image = parse_container_image(plan->image);
  ASSERT_TRUE(image) << plan->image;
  EXPECT_EQ(*image, (ContainerImage{"squashfs", plan->tree + "/image", plan->writable + "/upper", false}));
  auto with = config();
  with.devices_allowed = true;
  const auto open = plan_container(with, {}, 7, app(), wire::ImageFormat::squashfs);
  EXPECT_THAT(open->config, Not(HasSubstr("lxc.rootfs.options")));
  EXPECT_TRUE(parse_container_image(open->image)->devices);
}

TEST(ContainerConfig, AnotherImageIsAnotherContainer) {
  const auto fingerprint = [](std::uint32_t revision, std::uint8_t artifact, wire::ImageFormat format) {
    auto container = app();
    container.artifact.bytes.fill(artifact);
    return plan_container(config(), {}, revision, container, format)->fingerprint;
  };
  const auto one = fingerprint(7, 1, wire::ImageFormat::erofs);
  EXPECT_EQ(fingerprint(8, 1, wire::ImageFormat::erofs), one) << "another revision with the same image";
  EXPECT_NE(fingerprint(8, 2, wire::ImageFormat::erofs), one);
  EXPECT_NE(fingerprint(7, 1, wire::ImageFormat::none), one);
}

TEST(ContainerConfig, ImageTextIsReadBackOrRefused) {
  for (const auto* text :
       {"", "erofs\n", "erofs\n/a\n/b\n", "erofs\n/a\n/b\nyes\n", "erofs\n/a\n\nnodev\n", "erofs\n/a\n/b\ndev\nmore\n"})
    EXPECT_FALSE(parse_container_image(text)) << text;
  EXPECT_TRUE(parse_container_image("erofs\n/a\n/b\ndev\n"));
}

TEST(ContainerConfig, NamesItsPlaces) {
  const auto plan = plan_container(config(), {}, 7, app());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->lxc_name, "press-12.app");
  EXPECT_EQ(plan->lxc_folder, "/data/instar/lxc/press-12.app");
  EXPECT_EQ(plan->tree, "/data/instar/revisions/7/artifacts/" + app().artifact.hex() + "/tree");
  EXPECT_EQ(plan->writable, "/data/instar/revisions/7/containers/app");
  EXPECT_EQ(plan->init, app().init);
  EXPECT_EQ(plan->revision, 7U);
}

TEST(ContainerConfig, GivesTheNetworkThatTheDeviceNames) {
  auto with = config();
  with.network = Network::host;
  EXPECT_THAT(text_of(with, app()), HasSubstr("lxc.net.0.type = none\n"));
  with.network = Network::bridge;
  with.bridge = "lxcbr0";
  EXPECT_THAT(text_of(with, app()),
              HasSubstr("lxc.net.0.type = veth\nlxc.net.0.link = lxcbr0\nlxc.net.0.flags = up\n"));
}

TEST(ContainerConfig, AContainersOwnNetworkReplacesTheDefaultWhenAllowed) {
  auto container = app();
  container.settings = {{"lxc.net.0.type", "veth"}, {"lxc.net.0.link", "br7"}};
  EXPECT_EQ(plan_container(config(), {}, 1, container).error().code, Code::refused);
  auto with = config();
  with.lxc_keys_allowed = {"lxc.net.*"};
  const auto text = text_of(with, container);
  EXPECT_THAT(text, HasSubstr("lxc.net.0.link = br7"));
  EXPECT_THAT(text, Not(HasSubstr("= empty")));
}

TEST(ContainerConfig, RefusesSettingsThatAreNotSafe) {
  for (const char* key :
       {"lxc.mount.entry", "lxc.hook.pre-start", "lxc.include", "lxc.rootfs.path", "lxc.cap.keep", "lxc.idmap",
        "lxc.cgroup.devices.allow", "lxc.execute.cmd", "lxc.log.file", "lxc.namespace.share.net"}) {
    auto container = app();
    container.settings = {{key, "x"}};
    EXPECT_EQ(plan_container(config(), {}, 1, container).error().code, Code::refused) << key;
  }
  auto container = app();
  container.settings = {{"lxc.uts.name", "a\nlxc.hook.pre-start = /bin/sh"}};
  EXPECT_EQ(plan_container(config(), {}, 1, container).error().code, Code::refused) << "a second line";
}

TEST(ContainerConfig, TheBoundsComeAfterTheReleasesSettings) {
  auto container = app();
  container.settings = {{"lxc.cap.drop", ""}, {"lxc.uts.name", "other"}};
  const auto text = text_of(config(), container);
  const auto cleared = text.find("lxc.cap.drop = \n");
  ASSERT_NE(cleared, std::string::npos);
  EXPECT_GT(text.find("lxc.cap.drop = audit_control"), cleared) << "clearing the list does not help a release";
  EXPECT_GT(text.find("lxc.uts.name = other"), text.find("lxc.uts.name = app")) << "the last one counts";
}

TEST(ContainerConfig, UsesTheHostsSystemCallFilter) {
  const auto plan = plan_container(config(), {"/usr/share/lxc/config/common.seccomp"}, 1, app());
  ASSERT_TRUE(plan.has_value());
  EXPECT_THAT(plan->config, HasSubstr("lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n"));
  EXPECT_THAT(plan->config, HasSubstr("lxc.seccomp.allow_nesting = 1\n")) << "also below a filter of the client's own";
  EXPECT_THAT(text_of(config(), app()), Not(HasSubstr("lxc.seccomp."))) << "LXC may be without";
}

TEST(ContainerConfig, MemoryFilesAreAPartOfTheMemory) {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  EXPECT_EQ(tmpfs_bytes(53 * kMiB), 6 * kMiB);
  EXPECT_EQ(tmpfs_bytes(4096 * kMiB + 17), 512 * kMiB);
  EXPECT_EQ(tmpfs_bytes(4 * kMiB), kMiB);
  EXPECT_EQ(tmpfs_bytes(0), kMiB) << "not known";
  HostFacts host;
  host.memory_bytes = 64 * kMiB;
  const auto text = plan_container(config(), host, 7, app())->config;
  EXPECT_THAT(text, HasSubstr("tmpfs dev/shm tmpfs nosuid,nodev,noexec,mode=1777,size=8388608,nr_inodes=2048,"));
  EXPECT_THAT(text, HasSubstr("tmpfs tmp tmpfs nosuid,nodev,mode=1777,size=8388608,nr_inodes=2048,"));
}

TEST(ContainerConfig, AVolumeAtTmpTakesItsPlace) {
  auto container = app();
  container.volumes = {{"spool", "/tmp"}};
  const auto text = text_of(config(), container);
  EXPECT_THAT(text, Not(HasSubstr("tmpfs tmp ")));
  EXPECT_THAT(text, HasSubstr("tmpfs dev/shm "));
  container.volumes = {{"spool", "/tmp/spool"}};
  EXPECT_THAT(text_of(config(), container), HasSubstr("tmpfs tmp ")) << "it lies in it";
}

TEST(ContainerConfig, FoldersOfTheLowerLayerCanBeRenamedWhereTheKernelCan) {
  HostFacts host;
  host.renames_folders = true;
  const auto options = [&](const Config& with, const wire::Container& container, wire::ImageFormat image) {
    const auto text = plan_container(with, host, 7, container, image)->config;
    const auto at = text.rfind("lxc.rootfs.options = ");
    return at == std::string::npos ? std::string() : text.substr(at + 21, text.find('\n', at) - at - 21);
  };
  EXPECT_EQ(options(config(), app(), wire::ImageFormat::none), "redirect_dir=on");
  EXPECT_EQ(options(config(), app(), wire::ImageFormat::erofs), "redirect_dir=on,nodev");
  auto with = config();
  with.lxc_keys_allowed = {"lxc.idmap", "lxc.rootfs.options"};
  auto container = app();
  container.settings = {{"lxc.idmap", "u 0 100000 65536"}};
  EXPECT_EQ(options(with, container, wire::ImageFormat::none), "") << "its root may not write what that needs";
  container.settings = {{"lxc.rootfs.options", "noatime"}};
  EXPECT_EQ(options(with, container, wire::ImageFormat::none), "noatime") << "the release's own";
  host.renames_folders = false;
  EXPECT_EQ(options(config(), app(), wire::ImageFormat::none), "");
}

std::vector<ContainerFile> files_of_plan(const Config& with, const wire::Container& container) {
  return parse_container_files(plan_container(with, {}, 7, container)->files).value();
}

TEST(ContainerConfig, NamesAreGivenByTheNetworkThatAContainerHas) {
  const ContainerFile hosts = {"/data/instar/lxc/press-12.app/hosts", "hosts", Giving::copy_missing};
  const ContainerFile zone = {"/etc/localtime", "localtime", Giving::bind_missing};
  const ContainerFile host_resolver = {"/data/instar/names/resolv.conf", "resolv.conf", Giving::bind};
  const ContainerFile own_resolver = {"/data/instar/names/resolv.own.conf", "resolv.conf", Giving::copy_missing};
  using Files = std::vector<ContainerFile>;
  auto with = config();
  EXPECT_EQ(files_of_plan(with, app()), (Files{hosts, zone}));
  with.network = Network::host;
  EXPECT_EQ(files_of_plan(with, app()), (Files{hosts, zone, host_resolver}));
  auto container = app();
  container.settings = {{"lxc.net.0.type", "empty"}};
  EXPECT_EQ(files_of_plan(with, container), (Files{hosts, zone})) << "it wants none";
  with.network = Network::bridge;
  EXPECT_EQ(files_of_plan(with, app()), (Files{hosts, zone, own_resolver}));
  with = config();
  with.lxc_keys_allowed = {"lxc.net.*"};
  container.settings = {{"lxc.net.0.type", "veth"}, {"lxc.net.0.link", "br7"}};
  EXPECT_EQ(files_of_plan(with, container), (Files{hosts, zone, own_resolver}));
  container.settings = {{"lxc.net.0.type", "none"}};
  EXPECT_EQ(files_of_plan(with, container), (Files{hosts, zone, host_resolver}));
}

TEST(ContainerConfig, AContainerOfOneProcessGetsNoHook) {
  auto container = app();
  container.settings = {{"lxc.cgroup2.pids.max", "1"}};
  EXPECT_THAT(files_of_plan(config(), container), ::testing::IsEmpty());
  container.settings = {{"lxc.cgroup2.pids.max", "10"}};
  EXPECT_THAT(files_of_plan(config(), container), Not(::testing::IsEmpty()));
}

TEST(ContainerConfig, KnowsTheContainersOwnName) {
  auto container = app();
  EXPECT_EQ(plan_container(config(), {}, 1, container)->host_name, "app");
  container.settings = {{"lxc.uts.name", "one"}, {"lxc.uts.name", "two"}};
  EXPECT_EQ(plan_container(config(), {}, 1, container)->host_name, "two");
}

TEST(ContainerConfig, VolumesAreLeftToTheHelperAndNeverToLxc) {
  auto container = app();
  container.volumes = {{"below", "/var/lib/db/x"}, {"odd", "/with space\n#\\x"}, {"db", "/var/lib/db", 0700, 5, 6}};
  const auto plan = plan_container(config(), {}, 7, container);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->config, text_of(config(), app())) << "LXC is told nothing of them";
  const std::vector<ContainerVolume> expected = {{"db", "/data/instar/volumes/db", "/var/lib/db"},
                                                 {"below", "/data/instar/volumes/below", "/var/lib/db/x"},
                                                 {"odd", "/data/instar/volumes/odd", "/with space\n#\\x"}};
  EXPECT_EQ(parse_container_volumes(plan->mounts), expected) << "the upper one first";
}

TEST(ContainerConfig, AVolumeNeverCoversTheKernelsFolders) {
  for (const auto* path : {"/proc", "/proc/sys", "/sys/fs/cgroup", "/dev", "/dev/shm"}) {
    auto container = app();
    container.volumes = {{"v", path}};
    EXPECT_EQ(plan_container(config(), {}, 7, container).error().code, Code::refused) << path;
  }
}

TEST(ContainerConfig, AResourceLimitStaysWithinTheDevicesOwn) {
  HostFacts host;
  host.hard_limits = {{"nofile", 4096}, {"rtprio", 0}};
  auto container = app();
  container.settings = {{"lxc.prlimit.nofile", "1048576"}, {"lxc.prlimit.rtprio", "99"}};
  const auto plan = plan_container(config(), host, 7, container);
  ASSERT_TRUE(plan.has_value());
  EXPECT_THAT(plan->config, HasSubstr("lxc.prlimit.nofile = 4096:4096\n"));
  EXPECT_THAT(plan->config, HasSubstr("lxc.prlimit.rtprio = 0:0\n"));
  auto with = config();
  with.lxc_keys_allowed = {"lxc.prlimit.*"};
  EXPECT_THAT(plan_container(with, host, 7, container)->config, HasSubstr("lxc.prlimit.rtprio = 99\n"));
}

TEST(ContainerConfig, WithAppArmorEachContainerHasAProfileOfItsOwn) {
  HostFacts host;
  host.apparmor = true;
  EXPECT_THAT(plan_container(config(), host, 1, app())->config, HasSubstr("lxc.apparmor.profile = generated\n"));
  auto with = config();
  with.lxc_keys_allowed = {"lxc.apparmor.profile"};
  auto container = app();
  container.settings = {{"lxc.apparmor.profile", "site"}};
  EXPECT_THAT(plan_container(with, host, 1, container)->config, Not(HasSubstr("generated"))) << "the release's own";
}

TEST(ContainerConfig, ATreesOwnInitGetsLxcsSignal) {
  auto container = app();
  container.init.clear();
  EXPECT_THAT(text_of(config(), container), Not(HasSubstr("lxc.signal.halt")));
}

TEST(ContainerConfig, FingerprintIgnoresTheRevisionAndNothingElse) {
  const auto print = [](const Config& with, std::uint32_t revision, const wire::Container& container) {
    return plan_container(with, {}, revision, container).value().fingerprint;
  };
  const auto base = print(config(), 1, app());
  EXPECT_EQ(print(config(), 2, app()), base);
  auto healthier = app();
  healthier.health.settle_ms = 1;
  healthier.start_order = 3;
  EXPECT_EQ(print(config(), 1, healthier), base) << "how it is judged is nothing that it notices";

  std::vector<wire::Container> others(7, app());
  others[0].artifact.bytes[31] ^= 1;
  others[1].init.push_back("more");
  others[2].init = {"/usr/bin/app", "--serve", "all"};
  others[3].settings = {{"lxc.uts.name", "x"}};
  others[4].volumes = {{"v", "/v"}};
  others[5].init.clear();
  others[6].name = "bpp";
  for (const auto& other : others) EXPECT_NE(print(config(), 1, other), base);
  auto with = config();
  with.network = Network::host;
  EXPECT_NE(print(with, 1, app()), base);
}

TEST(ContainerConfig, PlansInStartOrder) {
  wire::Manifest manifest;
  manifest.containers = {app(), app(), app()};
  manifest.containers[0].name = "last";
  manifest.containers[0].start_order = 9;
  manifest.containers[1].name = "first";
  manifest.containers[2].name = "second";
  const auto plans = plan_containers(config(), {}, 1, manifest);
  ASSERT_TRUE(plans.has_value());
  EXPECT_EQ((*plans)[0].container, "first");
  EXPECT_EQ((*plans)[1].container, "second");
  EXPECT_EQ((*plans)[2].container, "last");
  manifest.containers[2].handler = "x";
  EXPECT_EQ(plan_containers(config(), {}, 1, manifest)->size(), 2U) << "payloads of handlers are none";
}

}  // namespace
}  // namespace instar::device
