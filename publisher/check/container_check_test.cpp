#include "publisher/check/container_check.hpp"

#include <gmock/gmock.h>

#include "files/testing/temporary_folder.hpp"
#include "publisher/check/testing/root_tree.hpp"
#include "publisher/testing/images.hpp"
#include "publisher/testing/trees.hpp"

namespace instar::publisher {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

wire::Container container(std::vector<std::string> init = {}) {
  wire::Container made;
  made.name = "app";
  made.init = std::move(init);
  return made;
}

TreeFindings check(RootTree& tree, const wire::Container& of) {
  TreeFindings findings;
  EXPECT_TRUE(check_container(of, tree.entries(), tree, findings));
  return findings;
}

TEST(ContainerCheck, WithoutAnInitTheTreeMustHaveItsOwn) {
  RootTree tree;
  tree.program("usr/lib/systemd/systemd");
  EXPECT_THAT(check(tree, container()).wrong,
              ElementsAre(AllOf(HasSubstr("container 'app', init: the tree has no /sbin/init"), HasSubstr("--init"),
                                HasSubstr("there is /usr/lib/systemd/systemd"))));
  tree.link("sbin/init", "/usr/lib/systemd/systemd");
  EXPECT_THAT(check(tree, container()).wrong, IsEmpty());
  auto other = container();
  other.settings = {{"lxc.init.cmd", "/bin/app --serve"}};
  EXPECT_THAT(check(tree, other).wrong, ElementsAre(HasSubstr("/bin/app is not in the tree")));
}

TEST(ContainerCheck, AnInitThatLeadsToNothingIsNamedAsTheLinkThatItIs) {
  RootTree tree;
  tree.program("usr/bin/x").link("sbin", "usr/sbin").folder("usr/sbin");
  EXPECT_THAT(check(tree, container()).wrong, ElementsAre(HasSubstr("the tree has no /sbin/init")));
  tree.link("usr/sbin/init", "/lib/systemd/systemd");
  EXPECT_THAT(check(tree, container()).wrong, ElementsAre(HasSubstr("/usr/sbin/init -> /lib/systemd/systemd")));
}

TEST(ContainerCheck, TheProbeIsLookedForToo) {
  RootTree tree;
  tree.program("sbin/init");
  auto with_probe = container();
  with_probe.health.probe = wire::Probe{};
  with_probe.health.probe->command = {"/usr/bin/curl", "-sf", "http://localhost/"};
  EXPECT_THAT(check(tree, with_probe).wrong,
              ElementsAre(HasSubstr("container 'app', probe: /usr/bin/curl is not in the tree")));
}

TEST(ContainerCheck, SettingsOfTheReleaseCount) {
  RootTree tree;
  tree.program("opt/bin/run");
  auto with = container({"run"});
  EXPECT_THAT(check(tree, with).wrong, ElementsAre(HasSubstr("'run' is in no folder of PATH")));
  with.settings = {{"lxc.environment", "PATH=/opt/bin"}};
  EXPECT_THAT(check(tree, with).wrong, IsEmpty());
  with.settings.push_back({"lxc.init.cwd", "/srv"});
  EXPECT_THAT(check(tree, with).wrong, ElementsAre(HasSubstr("no folder /srv")));
  with.settings.back() = {"lxc.mount.entry", "/mnt/disk opt/bin none bind 0 0"};
  EXPECT_THAT(check(tree, with).wrong, IsEmpty()) << "what is mounted there is not known";
  auto in_volume = container({"/opt/bin/run"});
  in_volume.volumes = {{.name = "data", .path = "/opt"}};
  EXPECT_THAT(check(tree, in_volume).wrong, ElementsAre(HasSubstr("the volume 'data', which covers /opt")));
}

class ContainersOfFolders : public testing::Test {
 protected:
  ArtifactFolder pack(const std::string& tree) {
    BuildOptions options;
    options.tree = folder_ / tree;
    options.out = folder_ / (tree + ".out");
    options.level = 1;
    options.replace = true;
    auto built = build_artifact(options);
    EXPECT_TRUE(built) << built.error().message;
    return built ? std::move(*built) : ArtifactFolder{};
  }
  void write(const std::string& path, ByteView content, mode_t mode = 0755) {
    write_in(folder_.path(), path, content, mode);
  }
  files::TemporaryFolder folder_;
};

// The programs lie in different chunks, some of them behind others of the same content.
TEST_F(ContainersOfFolders, AreReadOutOfTheirPacks) {
  write("tree/a/large", noise(700'000, 1));
  write("tree/bin/app", make_elf({.needed = {"libx.so"}}));
  write("tree/bin/large", noise(700'000, 1));
  write("tree/lib64/ld-linux-x86-64.so.2", make_elf({.loader = ""}));
  write("tree/sbin/init", as_bytes("#!/bin/app\n"));
  auto large = make_elf({.loader = "", .entry = 0});
  const auto more = noise(600'000, 2);
  large.insert(large.end(), more.begin(), more.end());
  write("tree/usr/lib/libx.so", large, 0644);
  const auto good = pack("tree");
  const auto app = container();
  const std::vector<ContainerOfTree> one{{app, good}};
  const auto findings = check_containers(one, {});
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_THAT(findings->wrong, IsEmpty());
  ASSERT_EQ(findings->machines.size(), 1U);
  EXPECT_EQ(findings->machines.front().program, "/bin/app of container 'app'");
  EXPECT_THAT(*check_default_init(good), IsEmpty());

  ASSERT_EQ(::unlink((folder_ / "tree/usr/lib/libx.so").c_str()), 0);
  const auto bad = pack("tree");
  const std::vector<ContainerOfTree> other{{app, bad}};
  const auto missing = check_containers(other, {});
  ASSERT_TRUE(missing) << missing.error().message;
  EXPECT_THAT(missing->wrong, ElementsAre(HasSubstr("needs libx.so")));
  const auto init = check_default_init(bad);
  ASSERT_TRUE(init) << init.error().message;
  EXPECT_THAT(*init, ElementsAre(HasSubstr("needs libx.so")));
}

TEST_F(ContainersOfFolders, ADamagedPackIsAnErrorThatNamesIt) {
  write("tree/sbin/init", make_elf({.type = ET_EXEC, .loader = ""}));
  ASSERT_FALSE(pack("tree").path.empty());
  auto bytes = *files::read_file(folder_ / "tree.out/full.pack", 1 << 20);
  bytes.back() ^= 1;
  ASSERT_TRUE(files::write_file_atomic(folder_ / "tree.out/full.pack", bytes));
  const auto damaged = open_artifact(folder_ / "tree.out");
  ASSERT_TRUE(damaged) << damaged.error().message;
  const auto app = container();
  const std::vector<ContainerOfTree> one{{app, *damaged}};
  const auto findings = check_containers(one, {});
  ASSERT_FALSE(findings);
  EXPECT_THAT(findings.error().message, HasSubstr("full.pack"));
}

TEST_F(ContainersOfFolders, MachinesMustBeThoseOfTheReleaseAndOfEachOther) {
  write("one/sbin/init", make_elf({.type = ET_EXEC, .loader = ""}));
  write("two/sbin/init", make_elf({.machine = {EM_AARCH64, true, false}, .type = ET_EXEC, .loader = ""}));
  const auto one = pack("one");
  const auto two = pack("two");
  const auto app = container();
  auto agent = container();
  agent.name = "agent";
  const std::vector<ContainerOfTree> both{{app, one}, {agent, two}};
  EXPECT_THAT(check_containers(both, {})->wrong,
              ElementsAre(AllOf(HasSubstr("container 'agent' is for aarch64"), HasSubstr("for x86_64"))));
  const std::vector<ContainerOfTree> single{{app, one}};
  wire::Requirements needs;
  needs.architectures = {"x86_64"};
  EXPECT_THAT(check_containers(single, needs)->wrong, IsEmpty());
  needs.architectures = {"x86_64", "aarch64"};
  EXPECT_THAT(check_containers(single, needs)->wrong, ElementsAre(HasSubstr("devices of aarch64")));
}

TEST_F(ContainersOfFolders, ImagesAndPayloadsAreNotLookedInto) {
  write("image", squashfs(300'000));
  write("tree/firmware", as_bytes("x"));
  const auto image = pack("image");
  const auto tree = pack("tree");
  const auto app = container();
  auto payload = container();
  payload.handler = "modem";
  const std::vector<ContainerOfTree> both{{app, image}, {payload, tree}};
  const auto findings = check_containers(both, {});
  EXPECT_THAT(findings->wrong, IsEmpty());
  EXPECT_THAT(findings->notes, ElementsAre(AllOf(HasSubstr("not looked into"), HasSubstr("squashfs"))));
}

TEST(RefuseIfWrong, NamesAllAndTheWayPast) {
  EXPECT_TRUE(refuse_if_wrong({}));
  const auto refused = refuse_if_wrong({"one", "two"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("--unchecked"), HasSubstr("one"), HasSubstr("two")));
}

}  // namespace
}  // namespace instar::publisher
