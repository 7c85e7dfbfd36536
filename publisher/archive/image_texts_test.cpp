// What images say in texts: digests, users, platforms, where they came from.
#include <gmock/gmock.h>

#include "publisher/archive/blob_digest.hpp"
#include "publisher/archive/image_choice.hpp"
#include "publisher/archive/image_users.hpp"
#include "publisher/archive/merged_tree.hpp"
#include "publisher/archive/origin.hpp"

namespace instar::publisher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(BlobDigests, AreThoseOfTheStandard) {
  EXPECT_EQ(blob_digest(DigestKind::sha256, as_bytes("abc")).str(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_THAT(blob_digest(DigestKind::sha512, as_bytes("abc")).str(), HasSubstr("sha512:ddaf35a193617aba"));
}

TEST(BlobDigests, NothingElseIsOne) {
  const std::string digits(64, 'a');
  EXPECT_TRUE(parse_blob_digest("sha256:" + digits));
  EXPECT_TRUE(parse_blob_digest("sha512:" + digits + digits));
  for (const std::string& text : {std::string(), digits, "sha256:" + digits.substr(1), "sha256:" + digits + "a",
                                  "sha256:" + digits.substr(1) + "A", "sha256:../" + digits.substr(3), "md5:" + digits,
                                  "sha512:" + digits, "../sha256:" + digits})
    EXPECT_FALSE(parse_blob_digest(text)) << text;
}

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/sh\nbroken\nwww:x:33:44:web:/var/www:/bin/sh\n7:x:1:1::/:/\n";
constexpr std::string_view kGroup = "www:x:44:\nlog:x:50:www,other\nboth:x:44:www\n";

TEST(ImageUsers, AreFoundInTheTree) {
  const auto www = find_image_user("www", kPasswd, kGroup);
  ASSERT_TRUE(www);
  EXPECT_EQ(www->uid, 33U);
  EXPECT_EQ(www->gid, 44U);
  EXPECT_EQ(www->home, "/var/www");
  EXPECT_THAT(www->more_groups, ElementsAre("log"));
  EXPECT_EQ(find_image_user("", kPasswd, kGroup)->home, "/root");
  EXPECT_EQ(find_image_user("33", kPasswd, kGroup)->gid, 44U);
  EXPECT_EQ(find_image_user("1234", kPasswd, kGroup)->gid, 0U);
  EXPECT_EQ(find_image_user("1234:50", kPasswd, kGroup)->gid, 50U);
  EXPECT_EQ(find_image_user("www:log", kPasswd, kGroup)->gid, 50U);
  EXPECT_EQ(find_image_user("0", "", "")->home, "/");
  for (const auto* text : {"nobody", "www:none", "-1", "4294967295", "1:-1"})
    EXPECT_FALSE(find_image_user(text, kPasswd, kGroup)) << text;
}

TEST(Platforms, AreKnownByTheNamesOfDevicesAndOfImages) {
  const ImagePlatform arm64{"linux", "arm64", "v8"};
  for (const auto* name : {"aarch64", "arm64", "linux/arm64", "arm64/v8"})
    EXPECT_TRUE(fit_of(arm64, name).is_exact) << name;
  EXPECT_FALSE(fit_of(arm64, "x86_64").runs);
  EXPECT_TRUE(fit_of({"linux", "amd64", ""}, "x86_64").is_exact);
  EXPECT_TRUE(fit_of({"linux", "arm", "v7"}, "armv7l").is_exact);
  EXPECT_TRUE(fit_of({"linux", "arm", ""}, "armv7l").is_exact);
  const auto older = fit_of({"linux", "arm", "v6"}, "armv7l");
  EXPECT_TRUE(older.runs && !older.is_exact);
  EXPECT_FALSE(fit_of({"linux", "arm", "v7"}, "armv6l").runs);
  EXPECT_TRUE(fit_of({"linux", "riscv64", ""}, "riscv64").is_exact);
  EXPECT_FALSE(fit_of({"windows", "amd64", ""}, "amd64").runs);
}

TEST(TreePaths, AreTakenFromArchives) {
  EXPECT_EQ(*tree_path("./a//b/./c/"), "a/b/c");
  EXPECT_EQ(*tree_path("/etc"), "etc");
  EXPECT_EQ(*tree_path("./"), "");
  EXPECT_EQ(*tree_path("..a/b.."), "..a/b..");
  for (const auto* path : {"..", "a/..", "../a", "a\x7f", "a\tb"}) EXPECT_FALSE(tree_path(path)) << path;
  EXPECT_FALSE(tree_path(std::string("a\0b", 3)));
}

Origin example() {
  Origin origin;
  origin.file = "web.tar";
  origin.format = "oci";
  origin.reference = "web:1";
  origin.config_digest = "sha256:aa";
  origin.platform = "linux/amd64";
  origin.labels = {{"org.opencontainers.image.title", "Web"}, {"org.opencontainers.image.version", "2.4.1"}};
  origin.container.init = {"/bin/web", "-p", "80"};
  origin.container.settings = {{"lxc.environment", "A=1"}, {"lxc.environment", "B=1"}, {"lxc.init.cwd", "/srv"}};
  origin.container.volumes = {{.name = "data", .path = "/data", .mode = 0700, .uid = 5, .gid = 6}};
  origin.container.probe = wire::Probe{.command = {"/bin/ask"}, .timeout_ms = 5, .interval_ms = 6, .failures_max = 7};
  origin.remarks = {"one", "two"};
  return origin;
}

TEST(Origins, ComeBackFromTheirJson) {
  const auto json = origin_json(example());
  const auto parsed = parse_origin(json, "artifact.json: origin");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(origin_json(*parsed), json);
  EXPECT_EQ(parsed->container.volumes.at(0).mode, 0700);
  EXPECT_EQ(notes_of(*parsed), "Web 2.4.1");
  for (const auto* bad : {R"("x")", R"({"labels": {"a": 1}})", R"({"container": {"init": [1]}})", R"({"file": 1})",
                          R"({"container": {"volumes": [{"name": "a"}]}})", R"({"container": {"settings": {}}})"})
    EXPECT_FALSE(parse_origin(Json::parse(bad), "x")) << bad;
}

TEST(Origins, OfAnArchiveSayNothingOfAContainer) {
  Origin origin;
  origin.file = "rootfs.tar";
  origin.format = "tar";
  EXPECT_EQ(origin_json(origin).dump(), R"({"file":"rootfs.tar","format":"tar"})");
  EXPECT_FALSE(parse_origin(origin_json(origin), "x")->is_image());
}

TEST(ImageContainers, FillWhatTheOperatorLeavesOpen) {
  wire::Container container;
  complete_container(example().container, container);
  EXPECT_THAT(container.init, ElementsAre("/bin/web", "-p", "80"));
  EXPECT_EQ(container.settings.size(), 3U);
  EXPECT_EQ(container.volumes.size(), 1U);
  EXPECT_EQ(container.health.probe->interval_ms, 6U);
}

TEST(ImageContainers, DoNotGoOverTheOperatorsWords) {
  wire::Container container;
  container.init = {"/sbin/own"};
  container.settings = {{"lxc.environment", "B=2"}, {"lxc.init.cwd", "/"}};
  container.volumes = {{.name = "other", .path = "/data"}};
  container.health.probe = wire::Probe{.command = {"/own"}};
  complete_container(example().container, container);
  EXPECT_THAT(container.init, ElementsAre("/sbin/own"));
  ASSERT_EQ(container.settings.size(), 3U);
  EXPECT_EQ(container.settings[0].value, "A=1");
  EXPECT_EQ(container.settings[1].value, "B=2");
  EXPECT_EQ(container.volumes.size(), 1U);
  EXPECT_THAT(container.health.probe->command, ElementsAre("/own"));
  wire::Container payload;
  payload.handler = "kernel";
  complete_container(example().container, payload);
  EXPECT_THAT(payload.init, IsEmpty());
}

}  // namespace
}  // namespace instar::publisher
