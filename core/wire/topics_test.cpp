#include "core/wire/topics.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/limits.hpp"

namespace instar::wire {
namespace {

DeviceId device(std::string_view text) {
  return DeviceId::parse(text).value();
}

ClientId client(std::string_view text) {
  return ClientId::parse(text).value();
}

GroupPath group(std::string_view text) {
  return GroupPath::parse(text).value();
}

TEST(Topics, AreBuiltAsDocumented) {
  const Topics topics;
  EXPECT_EQ(topics.root(), "instar/v1/root");
  EXPECT_EQ(topics.root(12), "instar/v1/root/12");
  EXPECT_EQ(topics.root_versions(), "instar/v1/root/+");
  EXPECT_EQ(topics.manifest(group("plant-7/line-a"), "press"), "instar/v1/manifest/plant-7/line-a/press");
  EXPECT_EQ(topics.gate(group("plant-7"), "press"), "instar/v1/gate/plant-7/press");
  EXPECT_EQ(topics.device(device("gw-01"), TopicKind::device_fetch), "instar/v1/d/gw-01/fetch");
  EXPECT_EQ(topics.device(device("gw-01"), TopicKind::device_chunk), "instar/v1/d/gw-01/chunk");
  EXPECT_EQ(topics.device(device("gw-01"), TopicKind::device_report), "instar/v1/d/gw-01/report");
  EXPECT_EQ(topics.device(device("gw-01"), TopicKind::device_ack), "instar/v1/d/gw-01/ack");
  EXPECT_EQ(topics.device(device("gw-01"), TopicKind::device_hello), "instar/v1/d/gw-01/hello");
  EXPECT_EQ(topics.device(device("gw-01"), TopicKind::device_presence), "instar/v1/d/gw-01/presence");
  EXPECT_EQ(topics.status("0123456789abcdef"), "instar/v1/r/0123456789abcdef/status");
  EXPECT_EQ(topics.put(client("op-x1")), "instar/v1/o/op-x1/put");
  EXPECT_EQ(topics.stored(client("op-x1")), "instar/v1/o/op-x1/stored");
  EXPECT_EQ(topics.control(), "$CONTROL/instar/v1");
  EXPECT_EQ(topics.control_response(), "$CONTROL/instar/v1/response");
}

TEST(Topics, ThatAreBuiltAreParsedToTheSame) {
  for (const char* prefix : {"instar/v1", "fleet", "manifest/d", "d/root"}) {
    const auto topics = Topics::with_prefix(prefix).value();
    EXPECT_EQ(topics.prefix(), prefix);
    EXPECT_EQ(topics.parse(topics.root())->kind, TopicKind::root);
    for (const std::uint32_t version : {1U, 10U, 4'294'967'295U}) {
      const auto chained = topics.parse(topics.root(version));
      ASSERT_TRUE(chained.has_value()) << version;
      EXPECT_EQ(chained->kind, TopicKind::root_version);
      EXPECT_EQ(chained->root_version, version);
    }
    for (const char* path : {"a", "a/b", "a/b/c/d", "manifest", "a/gate", "root"}) {
      for (const char* product : {"press", "gate", "manifest", "a"}) {
        const auto manifest = topics.parse(topics.manifest(group(path), product));
        ASSERT_TRUE(manifest.has_value()) << path;
        EXPECT_EQ(manifest->kind, TopicKind::group_manifest);
        EXPECT_EQ(manifest->group.str(), path);
        EXPECT_EQ(manifest->product, product);
        const auto gate = topics.parse(topics.gate(group(path), product));
        ASSERT_TRUE(gate.has_value()) << path;
        EXPECT_EQ(gate->kind, TopicKind::group_gate);
        EXPECT_EQ(gate->group.str(), path);
        EXPECT_EQ(gate->product, product);
      }
    }
    for (const auto kind :
         {TopicKind::device_fetch, TopicKind::device_chunk, TopicKind::device_report, TopicKind::device_ack,
          TopicKind::device_hello, TopicKind::device_presence, TopicKind::device_assignment}) {
      const auto parsed = topics.parse(topics.device(device("d"), kind));
      ASSERT_TRUE(parsed.has_value());
      EXPECT_EQ(parsed->kind, kind);
      EXPECT_EQ(parsed->device.str(), "d");
    }
    const auto status = topics.parse(topics.status("00ff00ff00ff00ff"));
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->kind, TopicKind::rollout_status);
    EXPECT_EQ(status->rollout, "00ff00ff00ff00ff");
    const auto put = topics.parse(topics.put(client("op-1")));
    ASSERT_TRUE(put.has_value());
    EXPECT_EQ(put->kind, TopicKind::operator_put);
    EXPECT_EQ(put->client.str(), "op-1");
    EXPECT_EQ(topics.parse(topics.stored(client("op-1")))->kind, TopicKind::operator_stored);
    EXPECT_EQ(topics.parse(topics.control())->kind, TopicKind::control);
    EXPECT_EQ(topics.parse(topics.control_response())->kind, TopicKind::control_response);
  }
}

TEST(Topics, TheLongestHasNoMoreSlashesThanCloudsAllow) {
  const auto longest = Topics{}.manifest(group("a/b/c/d"), "press");
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(longest, '/')), limits::kTopicSlashesMax);
}

class HostileTopic : public testing::TestWithParam<const char*> {};

TEST_P(HostileTopic, IsNotParsed) {
  EXPECT_FALSE(Topics{}.parse(GetParam()).has_value()) << GetParam();
}

INSTANTIATE_TEST_SUITE_P(
    Forms, HostileTopic,
    testing::Values(
        "", "/", "instar", "instar/v1", "instar/v1/", "instar/v1//root", "instar/v1/root/", "instar/v1/root/x",
        "instar/v1/root/0", "instar/v1/root/01", "instar/v1/root/-1", "instar/v1/root/+", "instar/v1/root/4294967296",
        "instar/v1/root/1/", "instar/v1/root/1x", "/instar/v1/root", "Instar/v1/root", "instar/v2/root",
        "instar/v1x/root", "instar/v10/root", "other/instar/v1/root", "instar/v1/x", "instar/v1/manifest",
        "instar/v1/manifest/", "instar/v1/manifest/press", "instar/v1/manifest//press", "instar/v1/manifest/a//press",
        "instar/v1/manifest/a/b/c/d/e/press", "instar/v1/manifest/+/press", "instar/v1/manifest/a/+",
        "instar/v1/manifest/#", "instar/v1/manifest/a/press/", "instar/v1/manifest/a/press.2", "instar/v1/Gate/a/press",
        "instar/v1/gate/a b/press", "instar/v1/gate/a/pr ess", "instar/v1/gate/\xc3\xa4/press",
        "instar/v1/g/a/manifest", "instar/v1/g/a/gate", "instar/v1/d", "instar/v1/d/", "instar/v1/d//hello",
        "instar/v1/d/+/hello", "instar/v1/d/#", "instar/v1/d/gw-01", "instar/v1/d/gw-01/", "instar/v1/d/gw-01/hello/",
        "instar/v1/d/gw-01/hello/x", "instar/v1/d/gw-01/Hello", "instar/v1/d/gw-01/other", "instar/v1/d/gw/01/hello",
        "instar/v1/d/gw.01/hello", "instar/v1/r/0123456789abcde/status", "instar/v1/r/0123456789abcdef0/status",
        "instar/v1/r/0123456789ABCDEF/status", "instar/v1/r/0123456789abcdeg/status", "instar/v1/r/0123456789abcdef",
        "instar/v1/r/0123456789abcdef/", "instar/v1/r/0123456789abcdef/status/", "instar/v1/r/+/status",
        "instar/v1/o/op/", "instar/v1/o//put", "instar/v1/o/op/put/", "instar/v1/o/op/x/put", "instar/v1/o/+/stored",
        "$CONTROL", "$CONTROL/", "$CONTROL/instar", "$CONTROL/instar/v1/", "$CONTROL/instar/v1/x",
        "$CONTROL/instar/v1/response/", "$CONTROL/instar/v1response", "$CONTROL/dynamic-security/v1",
        "$control/instar/v1", "$SYS/instar/v1/root", "$share/x/instar/v1/root"));

TEST(Topics, TheLongestProductAndGroupFit) {
  const Topics topics;
  const std::string product(limits::kNameBytesMax, 'p');
  const auto parsed = topics.parse(topics.gate(group("a/b/c/d"), product));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->product, product);
  EXPECT_FALSE(topics.parse("instar/v1/gate/a/" + product + "p").has_value());
}

TEST(Topics, AZeroByteDoesNotEndATopic) {
  EXPECT_FALSE(Topics{}.parse(std::string_view("instar/v1/root\0", 15)).has_value());
  EXPECT_FALSE(Topics{}.parse(std::string_view("instar/v1/d/gw\0x/hello", 22)).has_value());
}

TEST(Topics, OwnsItsPrefixWellFormedOrNot) {
  const Topics topics;
  EXPECT_TRUE(topics.owns("instar/v1/root"));
  EXPECT_TRUE(topics.owns("instar/v1/"));
  EXPECT_TRUE(topics.owns("instar/v1//nonsense"));
  EXPECT_FALSE(topics.owns("instar/v1"));
  EXPECT_FALSE(topics.owns("instar/v10/root"));
  EXPECT_FALSE(topics.owns("instar"));
  EXPECT_FALSE(topics.owns("sensors/instar/v1/root"));
  EXPECT_FALSE(topics.owns(""));
}

TEST(Topics, RefuseAPrefixThatIsNotOne) {
  for (const char* bad : {"", "/", "a/", "/a", "a//b", "a/+", "#", "a/b/c", "$SYS", "a b"}) {
    const auto topics = Topics::with_prefix(bad);
    ASSERT_FALSE(topics.has_value()) << bad;
    EXPECT_EQ(topics.error().code, Code::invalid_argument);
    EXPECT_NE(topics.error().message.find("instar/v1"), std::string::npos);
  }
}

}  // namespace
}  // namespace instar::wire
