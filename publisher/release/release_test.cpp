#include "publisher/release/release.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"
#include "publisher/release/keyring.hpp"
#include "publisher/release/publish_options.hpp"

namespace instar::publisher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr WallMs kReleaseNow{1'763'881'282'000};

constexpr const char* kFullSpec = R"({
  "product": "gateway", "release": "2.4.1", "groups": ["plant-7", "plant-8/line-a"], "sequence": 12, "expires": "90d", "notes": "hi",
  "containers": [{
    "name": "web", "artifact": "out", "init": ["/usr/sbin/webd", "-f"],
    "settings": {"lxc.environment": ["A=1", "B=2"], "lxc.cgroup2.memory.max": "64M"},
    "volumes": [{"name": "data", "path": "/var/lib/web", "mode": "0750", "uid": 33, "gid": 34}],
    "health": {"settle": "3s", "ready_timeout": 500,
               "probe": {"command": ["/bin/check"], "timeout": "5s", "interval": "200ms", "failures_max": 2}},
    "start_order": 3
  }],
  "requirements": {"architectures": ["x86_64"], "kernel_min": "5.10", "client_min": "0.1", "memory_min": "64Mi", "free_min": "20M"},
  "policy": {"attempts_max": 2, "backoff": "5min", "metered_fallback": true}
})";

class Releases : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(files::make_folders(folder_ / "tree"));
    ASSERT_TRUE(files::write_file_atomic(folder_ / "tree/file", as_bytes("content")));
    BuildOptions options;
    options.tree = folder_ / "tree";
    options.out = folder_ / "out";
    options.level = 1;
    ASSERT_TRUE(build_artifact(options));
  }

  Result<wire::Manifest> manifest_of(const std::string& text) const {
    INSTAR_TRY(auto spec, parse_release(text, "test.json", folder_.path()));
    INSTAR_TRY(const auto artifacts, open_artifacts(spec));
    return make_manifest(spec, artifacts, spec.sequence.value_or(1), kReleaseNow, Bytes(16, 7));
  }

  files::TemporaryFolder folder_;
};

TEST_F(Releases, EveryFieldOfAReleaseFileReachesTheManifest) {
  const auto made = manifest_of(kFullSpec);
  ASSERT_TRUE(made) << made.error().message;
  const auto read = wire::decode_manifest(wire::encode_manifest(*made));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->product, "gateway");
  EXPECT_EQ(read->release, "2.4.1");
  EXPECT_EQ(read->sequence, 12U);
  EXPECT_EQ(read->issued, kReleaseNow);
  EXPECT_EQ(read->expires, kReleaseNow + std::int64_t{90} * 86'400'000);
  ASSERT_EQ(read->groups.size(), 2U);
  EXPECT_EQ(read->groups[1].str(), "plant-8/line-a");
  EXPECT_EQ(read->notes, "hi");
  ASSERT_EQ(read->artifacts.size(), 1U);
  EXPECT_EQ(read->artifacts[0].packs.size(), 2U);
  ASSERT_EQ(read->containers.size(), 1U);
  const auto& web = read->containers[0];
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(web.artifact, read->artifacts[0].id);
  EXPECT_THAT(web.init, ElementsAre("/usr/sbin/webd", "-f"));
  ASSERT_EQ(web.settings.size(), 3U);
  EXPECT_EQ(web.settings[1].value, "B=2");
  ASSERT_EQ(web.volumes.size(), 1U);
  EXPECT_EQ(web.volumes[0].mode, 0750);
  EXPECT_EQ(web.volumes[0].uid, 33U);
  EXPECT_EQ(web.volumes[0].gid, 34U);
  EXPECT_EQ(web.health.settle_ms, 3'000U);
  EXPECT_EQ(web.health.ready_timeout_ms, 500U);
  ASSERT_TRUE(web.health.probe);
  EXPECT_EQ(web.health.probe->timeout_ms, 5'000U);
  EXPECT_EQ(web.health.probe->interval_ms, 200U);
  EXPECT_EQ(web.health.probe->failures_max, 2U);
  EXPECT_EQ(web.start_order, 3U);
  EXPECT_THAT(read->requirements.architectures, ElementsAre("x86_64"));
  EXPECT_EQ(read->requirements.memory_bytes_min, 64U * 1024 * 1024);
  EXPECT_EQ(read->requirements.free_bytes_min, 20'000'000U);
  EXPECT_EQ(read->policy.attempts_max, 2U);
  EXPECT_EQ(read->policy.backoff_s, 300U);
  EXPECT_TRUE(read->policy.metered_fallback);
  EXPECT_TRUE(read->policy.waves.empty());
  EXPECT_EQ(read->policy.salt, Bytes(16, 7));
}

TEST_F(Releases, TwoContainersOfOneArtifactNameItOnce) {
  const auto made = manifest_of(R"({"product": "p", "release": "1", "groups": ["g"], "containers": [
      {"name": "a", "artifact": "out"}, {"name": "b", "artifact": "./out"}]})");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->artifacts.size(), 1U);
  EXPECT_EQ(made->containers.size(), 2U);
}

TEST_F(Releases, AFolderOfTwoContainersIsSharedInSoManyWords) {
  const auto error_of = [&](const std::string& first, const std::string& second) {
    const auto made = manifest_of(R"({"product": "p", "release": "1", "groups": ["g"], "containers": [
      {"name": "a", "artifact": "out", "volumes": [{"name": "v", "path": "/v")" +
                                  first + R"(}]},
      {"name": "b", "artifact": "out", "volumes": [{"name": "v", "path": "/w")" +
                                  second + "}]}]}");
    if (!made) return made.error().message;
    EXPECT_TRUE(made->containers[0].volumes[0].shared && made->containers[1].volumes[0].shared);
    return std::string("none");
  };
  EXPECT_THAT(error_of("", ""), HasSubstr("volume 'v' of container 'b' is that of 'a' too"));
  EXPECT_THAT(error_of(R"(, "shared": true)", ""), HasSubstr("say that it is shared with both"));
  EXPECT_EQ(error_of(R"(, "shared": true)", R"(, "shared": true)"), "none");
}

TEST_F(Releases, AVolumeThatDevicesWouldRefuseIsNotPublished) {
  ASSERT_EQ(::symlink("/run", (folder_ / "tree/link").c_str()), 0);
  ASSERT_TRUE(files::make_folders(folder_ / "tree/folder"));
  BuildOptions options;
  options.tree = folder_ / "tree";
  options.out = folder_ / "linked";
  options.level = 1;
  ASSERT_TRUE(build_artifact(options));
  const auto error_of = [&](const std::string& path) {
    const auto made = manifest_of(R"({"product": "p", "release": "1", "groups": ["g"], "containers": [{"name": "a",
        "artifact": "linked", "volumes": [{"name": "v", "path": ")" +
                                  path + R"("}]}]})");
    return made ? std::string("none") : made.error().message;
  };
  EXPECT_THAT(error_of("/link"), HasSubstr("volume 'v' at /link passes a link: its tree has /link -> /run"));
  EXPECT_THAT(error_of("/link/app"), HasSubstr("container 'a'"));
  EXPECT_THAT(error_of("/file/below"), HasSubstr("passes a file: /file"));
  EXPECT_THAT(error_of("/proc/sys"), HasSubstr("/proc/sys would cover"));
  EXPECT_THAT(error_of("/a/../b"), HasSubstr("'..'"));
  EXPECT_EQ(error_of("/folder/new"), "none");
  EXPECT_EQ(error_of("/folder"), "none");
}

TEST_F(Releases, AMisspeltKeyIsNamedAtEachDepthBeforeOneThatIsMissing) {
  const auto error_of = [&](const std::string& text) {
    const auto made = manifest_of(text);
    return made ? std::string("none") : made.error().message;
  };
  const auto in_container = [&](const std::string& more) {
    return error_of(R"({"containers": [{"name": "a", "artifact": "out", )" + more + "}]}");
  };
  EXPECT_THAT(error_of(R"({"containers": [{"nmae": "a"}]})"),
              HasSubstr("containers[0]: unknown key 'nmae', did you mean 'name'?"));
  EXPECT_THAT(in_container(R"("volumes": [{"name": "d", "paht": "/d"}])"),
              HasSubstr("containers[0]: volumes[0]: unknown key 'paht', did you mean 'path'?"));
  EXPECT_THAT(in_container(R"("health": {"setle": "1s"})"),
              HasSubstr("containers[0]: health: unknown key 'setle', did you mean 'settle'?"));
  EXPECT_THAT(in_container(R"("health": {"probe": {"comand": ["/bin/true"]}})"),
              HasSubstr("health: probe: unknown key 'comand', did you mean 'command'?"));
  EXPECT_THAT(error_of(R"({"containers": [], "requirements": {"architecture": ["x86_64"]}})"),
              HasSubstr("requirements: unknown key 'architecture', did you mean 'architectures'?"));
  EXPECT_THAT(error_of(R"({"containers": [], "policy": {"waves": [{"shre": "10%"}]}})"),
              HasSubstr("policy: waves[0]: unknown key 'shre', did you mean 'share'?"));
  EXPECT_THAT(error_of(R"({"containers": [], "policy": {"error_budget": {"failure": 3}}})"),
              HasSubstr("policy: error_budget: unknown key 'failure', did you mean 'failures'?"));
  EXPECT_THAT(error_of(R"({"containers": [], "policy": {"nonsense": 3}})"),
              HasSubstr("policy: unknown key 'nonsense' (known here: waves"));
}

TEST_F(Releases, ErrorsInAReleaseFileNameThePlace) {
  const auto error_of = [&](const std::string& text) {
    const auto made = manifest_of(text);
    return made ? std::string("none") : made.error().message;
  };
  EXPECT_THAT(error_of("{\n  \"product\": oops\n}"), HasSubstr("line 2"));
  EXPECT_THAT(error_of(R"({"product": "gateway", "contaners": []})"),
              HasSubstr("test.json: unknown key 'contaners', did you mean 'containers'?"));
  EXPECT_THAT(error_of("[]"), HasSubstr("test.json must be a JSON object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("containers must be an array"));
  EXPECT_THAT(error_of(R"({"containers": [], "prodct": "x"})"), HasSubstr("unknown key 'prodct'"));
  EXPECT_THAT(error_of(R"({"containers": [{}]})"), HasSubstr("containers[0]: name is missing"));
  EXPECT_THAT(error_of(R"({"containers": [{"name": "a"}]})"), HasSubstr("artifact is missing"));
  EXPECT_THAT(error_of(R"({"containers": [{"name": "a", "artifact": "out", "init": "/bin/sh"}]})"),
              HasSubstr("init must be an array"));
  EXPECT_THAT(error_of(R"({"containers": [{"name": "a", "artifact": "out", "health": {"settle": "soon"}}]})"),
              HasSubstr("containers[0]: health: settle"));
  EXPECT_THAT(error_of(R"({"containers": [{"name": "a", "artifact": "out", "health": {"probe": {"command": []}}}]})"),
              HasSubstr("command must name what to run"));
  EXPECT_THAT(error_of(R"({"containers": [{"name": "a", "artifact": "out", "health": {"probee": {}}}]})"),
              HasSubstr("'probee'"));
  EXPECT_THAT(
      error_of(
          R"({"containers": [{"name": "a", "artifact": "out", "volumes": [{"name": "d", "path": "/d", "mode": "9"}]}]})"),
      HasSubstr("volumes[0]: mode"));
  EXPECT_THAT(error_of(R"({"containers": [], "sequence": 0})"), HasSubstr("sequence"));
  EXPECT_THAT(error_of(R"({"containers": [], "groups": ["a//b"]})"), HasSubstr("groups"));
  EXPECT_THAT(error_of(R"({"containers": [], "policy": {"waevs": []}})"), HasSubstr("unknown key 'waevs'"));
  EXPECT_THAT(error_of(R"({"containers": [], "policy": {"waves": [{"share": "12"}]}})"),
              HasSubstr("policy: waves[0]: share: '12' must be a share such as 25% or 0.5%"));
  EXPECT_THAT(error_of(R"({"containers": [], "policy": {"waves": ["10%:soek=1h"]}})"),
              HasSubstr("'soek=1h' is none of"));
  EXPECT_THAT(error_of(R"({"containers": [], "policy": {"windows": ["Mon 25:00 1h"]}})"),
              HasSubstr("must be a time of day"));
  EXPECT_THAT(error_of(R"({"containers": [], "policy": {"error_budget": {"failures": "0%"}}})"),
              HasSubstr("error_budget: failures"));
}

TEST_F(Releases, AManifestThatADeviceWouldRefuseIsNotMade) {
  const auto code_of = [&](const std::string& containers) {
    const auto made =
        manifest_of(R"({"product": "p", "release": "1", "groups": ["g"], "containers": )" + containers + "}");
    return made ? Code::ok : made.error().code;
  };
  EXPECT_EQ(code_of(R"([{"name": "a", "artifact": "out"}])"), Code::ok);
  EXPECT_EQ(code_of(R"([{"name": "a", "artifact": "out"}, {"name": "a", "artifact": "out"}])"), Code::invalid_argument);
  EXPECT_EQ(code_of(R"([{"name": "../a", "artifact": "out"}])"), Code::invalid_argument);
  EXPECT_EQ(code_of(R"([{"name": "a", "artifact": "out", "volumes": [{"name": "d", "path": "relative"}]}])"),
            Code::invalid_argument);
  EXPECT_EQ(code_of(R"([{"name": "a", "artifact": "out", "volumes": [{"name": "d", "path": "/a/../b"}]}])"),
            Code::invalid_argument);
  EXPECT_EQ(code_of(R"([{"name": "a", "artifact": "nowhere"}])"), Code::not_found);
}

TEST_F(Releases, ASignatureIsCheckedAsOnDevices) {
  KeygenOptions options;
  options.folder = folder_ / "keys";
  options.release_filter = "plant-7/#";
  ASSERT_TRUE(generate_keys(options, kReleaseNow));
  const auto root = trust::TrustStore::from_pinned(*files::read_file(folder_ / "keys/root.instar", 100'000));
  ASSERT_TRUE(root);
  const auto manifest = [&](const char* group) {
    return manifest_of(
        std::string(
            R"({"product": "p", "release": "1", "containers": [{"name": "a", "artifact": "out"}], "groups": [")") +
        group + "\"]}");
  };
  const auto release = *load_secret_keys({folder_ / "keys/release.key"});
  const auto gate = *load_secret_keys({folder_ / "keys/gate.key"});
  const auto envelope = sign_manifest(*manifest("plant-7/line-a"), release, *root);
  ASSERT_TRUE(envelope) << envelope.error().message;
  EXPECT_TRUE(root->open_manifest(*envelope, *GroupPath::parse("plant-7/line-a")));

  const auto other_group = sign_manifest(*manifest("plant-8"), release, *root);
  ASSERT_FALSE(other_group);
  EXPECT_EQ(other_group.error().code, Code::untrusted_key);
  EXPECT_THAT(other_group.error().message, HasSubstr("plant-8"));
  EXPECT_FALSE(sign_manifest(*manifest("plant-7"), gate, *root));
  EXPECT_FALSE(sign_manifest(*manifest("plant-7"), {}, *root));
}

TEST_F(Releases, ThePlainOptionsMakeTheSameAsAFile) {
  PublishOptions options;
  options.product = "gateway";
  options.release = "2.4.1";
  options.groups = {"plant-7"};
  options.artifact = folder_ / "out";
  options.init = {"/usr/sbin/webd -f"};
  options.probe = {"/bin/check", "--all"};
  options.settle = "3s";
  options.settings = {"lxc.environment=A=1"};
  options.volumes = {"data:/var/lib/web"};
  options.sequence = "7";
  const auto spec = release_of(options);
  ASSERT_TRUE(spec) << spec.error().message;
  const auto& container = spec->containers.at(0).container;
  EXPECT_EQ(container.name, "app");
  EXPECT_THAT(container.init, ElementsAre("/usr/sbin/webd", "-f"));
  EXPECT_THAT(container.health.probe->command, ElementsAre("/bin/check", "--all"));
  EXPECT_EQ(container.health.settle_ms, 3'000U);
  EXPECT_EQ(container.settings.at(0).key, "lxc.environment");
  EXPECT_EQ(container.settings.at(0).value, "A=1");
  EXPECT_EQ(container.volumes.at(0).path, "/var/lib/web");
  EXPECT_EQ(spec->sequence, 7U);
}

TEST_F(Releases, ErrorsNameTheWrongOption) {
  PublishOptions good;
  good.product = "p";
  good.release = "1";
  good.groups = {"g"};
  good.artifact = "out";
  ASSERT_TRUE(release_of(good));
  const auto error_of = [&](const std::function<void(PublishOptions&)>& change) {
    auto options = good;
    change(options);
    const auto spec = release_of(options);
    return spec ? std::string("none") : spec.error().message;
  };
  EXPECT_THAT(error_of([](auto& o) { o.product = ""; }), HasSubstr("--product"));
  EXPECT_THAT(error_of([](auto& o) { o.product = "press.2"; }), HasSubstr("product 'press.2' must be"));
  EXPECT_THAT(error_of([](auto& o) { o.release = ""; }), HasSubstr("--release"));
  EXPECT_THAT(error_of([](auto& o) { o.release = "a b"; }), HasSubstr("release 'a b' cannot be used: ' ' is none"));
  EXPECT_THAT(error_of([](auto& o) { o.groups = {}; }), HasSubstr("--group"));
  EXPECT_THAT(error_of([](auto& o) { o.groups = {"a/+/b"}; }), HasSubstr("a/+/b"));
  EXPECT_THAT(error_of([](auto& o) { o.artifact = ""; }), HasSubstr("--artifact"));
  EXPECT_THAT(error_of([](auto& o) { o.containers = {"web"}; }), HasSubstr("NAME=OUT"));
  EXPECT_THAT(error_of([](auto& o) { o.volumes = {"data:relative"}; }), HasSubstr("NAME:/PATH"));
  EXPECT_THAT(error_of([](auto& o) { o.settings = {"novalue"}; }), HasSubstr("KEY=VALUE"));
  EXPECT_THAT(error_of([](auto& o) { o.sequence = "0"; }), HasSubstr("sequence"));
  EXPECT_THAT(error_of([](auto& o) { o.sequence = "12x"; }), HasSubstr("sequence"));
  EXPECT_THAT(error_of([](auto& o) { o.expires = "90"; }), HasSubstr("duration"));
  EXPECT_THAT(error_of([](auto& o) { o.spec_path = "x.json"; }), HasSubstr("--spec"));
  EXPECT_THAT(error_of([](auto& o) {
                o.containers = {"b=out"};
                o.init = {"/bin/sh"};
              }),
              HasSubstr("--spec"));
}

}  // namespace
}  // namespace instar::publisher
