#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/testing/codes.hpp"
#include "core/wire/testing/examples.hpp"
#include "schemas/manifest_generated.h"

namespace instar::wire {
namespace {

struct BrokenManifest {
  const char* name;
  void (*breaks)(Manifest&);
  Code code;
  const char* says;  // the place, as the message names it
};

void make_image(Manifest& manifest, ImageFormat format) {
  manifest.artifacts[0].kind = ArtifactKind::image;
  manifest.artifacts[0].image_format = format;
  manifest.artifacts[0].entry_count = 2;
}

class ManifestBroken : public testing::TestWithParam<BrokenManifest> {};

TEST_P(ManifestBroken, IsRefusedWithThePlace) {
  Manifest manifest = examples::manifest();
  GetParam().breaks(manifest);
  const auto decoded = decode_manifest(encode_manifest(manifest));
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code, GetParam().code) << decoded.error().message;
  EXPECT_TRUE(decoded.error().message.starts_with("manifest: ")) << decoded.error().message;
  EXPECT_NE(decoded.error().message.find(GetParam().says), std::string::npos) << decoded.error().message;
}

std::string case_name(const testing::TestParamInfo<BrokenManifest>& tested) {
  return tested.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    Header, ManifestBroken,
    testing::Values(
        BrokenManifest{"ProductEmpty", [](Manifest& m) { m.product.clear(); }, kBad, "product"},
        BrokenManifest{"ProductPath", [](Manifest& m) { m.product = "a/b"; }, kBad, "product"},
        BrokenManifest{"ProductDot", [](Manifest& m) { m.product = "press.2"; }, kBad, "no dot"},
        BrokenManifest{"ProductLong", [](Manifest& m) { m.product = std::string(65, 'x'); }, kLarge, "product (bytes)"},
        BrokenManifest{"ReleaseDots", [](Manifest& m) { m.release = ".."; }, kBad, "release"},
        BrokenManifest{"ReleaseZeroByte", [](Manifest& m) { m.release = std::string("2.4\0x", 5); }, kBad, "release"},
        BrokenManifest{"SequenceZero", [](Manifest& m) { m.sequence = 0; }, kBad, "sequence is 0"},
        BrokenManifest{"ExpiresBeforeIssued", [](Manifest& m) { m.expires = {1}; }, kBad, "expires_ms"},
        BrokenManifest{"NoGroup", [](Manifest& m) { m.groups.clear(); }, kBad, "groups is 0"},
        BrokenManifest{"EmptyGroup", [](Manifest& m) { m.groups[1] = GroupPath{}; }, kBad, "groups[1]"},
        BrokenManifest{"GroupTwice", [](Manifest& m) { m.groups[1] = m.groups[0]; }, kBad,
                       "groups names a group twice"},
        BrokenManifest{"TooManyGroups",
                       [](Manifest& m) {
                         for (int i = 0; i < 15; ++i) m.groups.push_back(examples::group("g" + std::to_string(i)));
                       },
                       kLarge, "groups is 17, the most is 16"},
        BrokenManifest{"NotesLong", [](Manifest& m) { m.notes = std::string(1'025, 'x'); }, kLarge, "notes"},
        BrokenManifest{"NotesNotUtf8", [](Manifest& m) { m.notes = "\xff"; }, kBad, "notes"},
        BrokenManifest{"NotesSteerTerminal", [](Manifest& m) { m.notes = "\x1b]0;x\x07"; }, kBad, "notes"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Artifacts, ManifestBroken,
    testing::Values(
        BrokenManifest{"None", [](Manifest& m) { m.artifacts.clear(); }, kBad, "artifacts is 0"},
        BrokenManifest{"TooMany", [](Manifest& m) { m.artifacts.resize(17, m.artifacts[0]); }, kLarge,
                       "artifacts is 17"},
        BrokenManifest{"SameTwice", [](Manifest& m) { m.artifacts.push_back(m.artifacts[0]); }, kBad,
                       "artifacts has the same id twice"},
        BrokenManifest{"ZeroId", [](Manifest& m) { m.artifacts[0].id = {}; }, kBad, "artifacts[0]: id"},
        BrokenManifest{"ImageWithoutFormat", [](Manifest& m) { make_image(m, ImageFormat::none); }, kBad,
                       "artifacts[0]: image_format must be there"},
        BrokenManifest{"TreeWithFormat", [](Manifest& m) { m.artifacts[0].image_format = ImageFormat::erofs; }, kBad,
                       "artifacts[0]: image_format must be there"},
        BrokenManifest{"LaterImageFormat", [](Manifest& m) { make_image(m, static_cast<ImageFormat>(4)); }, kNewer,
                       "artifacts[0]: image_format"},
        BrokenManifest{"ImageOfManyEntries",
                       [](Manifest& m) {
                         make_image(m, ImageFormat::ext4);
                         m.artifacts[0].entry_count = 3;
                       },
                       kBad, "artifacts[0]: entry_count is 3, of an image it is 2"},
        BrokenManifest{"LaterKind", [](Manifest& m) { m.artifacts[0].kind = static_cast<ArtifactKind>(2); }, kNewer,
                       "artifacts[0]: kind is 2"},
        BrokenManifest{"Content", [](Manifest& m) { m.artifacts[0].content_bytes = limits::kContentBytesMax + 1; },
                       kLarge, "content_bytes"},
        BrokenManifest{"Holes", [](Manifest& m) { m.artifacts[0].hole_bytes = m.artifacts[0].content_bytes + 1; },
                       kLarge, "hole_bytes"},
        BrokenManifest{"Entries", [](Manifest& m) { m.artifacts[0].entry_count = 200'001; }, kLarge, "entry_count"},
        BrokenManifest{"Index", [](Manifest& m) { m.artifacts[0].index_bytes = UINT32_MAX; }, kLarge, "index_bytes"},
        BrokenManifest{"NoPack", [](Manifest& m) { m.artifacts[0].packs.clear(); }, kBad, "packs is 0"},
        BrokenManifest{"NoFullPack", [](Manifest& m) { m.artifacts[0].packs.erase(m.artifacts[0].packs.begin()); },
                       kBad, "no full pack"},
        BrokenManifest{"PackTwice", [](Manifest& m) { m.artifacts[0].packs[1].id = m.artifacts[0].packs[0].id; }, kBad,
                       "same id twice"},
        BrokenManifest{"TooManyPacks", [](Manifest& m) { m.artifacts[0].packs.resize(33, examples::full_pack()); },
                       kLarge, "packs is 33"},
        BrokenManifest{"DeltaAgainstItself", [](Manifest& m) { m.artifacts[0].packs[1].base = m.artifacts[0].id; },
                       kBad, "against the artifact itself"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Packs, ManifestBroken,
    testing::Values(
        BrokenManifest{"LaterKind",
                       [](Manifest& m) { m.artifacts[0].packs[1].kind = static_cast<artifact::PackKind>(3); }, kNewer,
                       "packs[1]: kind is 3"},
        BrokenManifest{"ZeroId", [](Manifest& m) { m.artifacts[0].packs[0].id = {}; }, kBad, "packs[0]: id"},
        BrokenManifest{"FormatZero", [](Manifest& m) { m.artifacts[0].packs[0].format = 0; }, kBad, "packs[0]: format"},
        BrokenManifest{"DeltaWithoutBase", [](Manifest& m) { m.artifacts[0].packs[1].base = {}; }, kBad,
                       "packs[1]: base"},
        BrokenManifest{"FullWithBase", [](Manifest& m) { m.artifacts[0].packs[0].base = examples::hash("b"); }, kBad,
                       "packs[0]: base"},
        BrokenManifest{"DedupeWithBase", [](Manifest& m) { m.artifacts[0].packs[1].kind = artifact::PackKind::dedupe; },
                       kBad, "packs[1]: base"},
        BrokenManifest{"NoHead",
                       [](Manifest& m) {
                         m.artifacts[0].packs[0].head.clear();
                         m.artifacts[0].packs[0].head_bytes = 0;
                       },
                       kBad, "head is 0"},
        BrokenManifest{"LongHead",
                       [](Manifest& m) {
                         m.artifacts[0].packs[0].head.resize(257, {examples::hash("h"), 1, 1, artifact::Codec::raw});
                         m.artifacts[0].packs[0].head_bytes = 257;
                       },
                       kLarge, "head is 257"},
        BrokenManifest{"HeadBytes", [](Manifest& m) { ++m.artifacts[0].packs[0].head_bytes; }, kBad,
                       "head_bytes is 1501"},
        BrokenManifest{"ChunkEmpty", [](Manifest& m) { m.artifacts[0].packs[0].head[1].encoded_bytes = 0; }, kBad,
                       "head[1]: encoded_bytes"},
        BrokenManifest{"ChunkEncoded", [](Manifest& m) { m.artifacts[0].packs[0].head[0].encoded_bytes = 263'169; },
                       kLarge, "head[0]: encoded_bytes"},
        BrokenManifest{"ChunkDecoded", [](Manifest& m) { m.artifacts[0].packs[0].head[0].decoded_bytes = 262'145; },
                       kLarge, "head[0]: decoded_bytes"},
        BrokenManifest{"ChunkDecodesToNothing", [](Manifest& m) { m.artifacts[0].packs[0].head[0].decoded_bytes = 0; },
                       kBad, "decoded_bytes"},
        BrokenManifest{"RawThatGrows", [](Manifest& m) { m.artifacts[0].packs[0].head[1].decoded_bytes = 501; }, kBad,
                       "raw chunk"},
        BrokenManifest{"LaterCodec",
                       [](Manifest& m) { m.artifacts[0].packs[0].head[0].codec = static_cast<artifact::Codec>(2); },
                       kNewer, "head[0]: codec is 2"},
        BrokenManifest{"BodyCount", [](Manifest& m) { m.artifacts[0].packs[0].body_count = 399'999; }, kLarge,
                       "body_count"},
        BrokenManifest{"BodyTooSmall", [](Manifest& m) { m.artifacts[0].packs[0].body_bytes = 39; }, kBad,
                       "body_bytes"},
        BrokenManifest{"BodyTooLarge", [](Manifest& m) { m.artifacts[0].packs[0].body_bytes = 40ULL * 263'168 + 1; },
                       kLarge, "body_bytes"},
        BrokenManifest{"BytesOfNoBody", [](Manifest& m) { m.artifacts[0].packs[0].body_count = 0; }, kLarge,
                       "body_bytes"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Containers, ManifestBroken,
    testing::Values(
        BrokenManifest{"None", [](Manifest& m) { m.containers.clear(); }, kBad, "containers is 0"},
        BrokenManifest{"TooMany", [](Manifest& m) { m.containers.resize(17, m.containers[0]); }, kLarge,
                       "containers is 17"},
        BrokenManifest{"NameTwice", [](Manifest& m) { m.containers.push_back(m.containers[0]); }, kBad,
                       "name web twice"},
        BrokenManifest{"NamePath", [](Manifest& m) { m.containers[0].name = "../web"; }, kBad, "containers[0]: name"},
        BrokenManifest{"UnknownArtifact", [](Manifest& m) { m.containers[0].artifact = examples::hash("x"); }, kBad,
                       "not among the artifacts"},
        BrokenManifest{"ZeroArtifact", [](Manifest& m) { m.containers[0].artifact = {}; }, kBad,
                       "containers[0]: artifact"},
        BrokenManifest{"InitEmptyWord", [](Manifest& m) { m.containers[0].init[0].clear(); }, kBad,
                       "init starts with an empty word"},
        BrokenManifest{"InitZeroByte", [](Manifest& m) { m.containers[0].init[1] = std::string("a\0b", 3); }, kBad,
                       "init[1]"},
        BrokenManifest{"InitLong", [](Manifest& m) { m.containers[0].init.resize(65, "x"); }, kLarge, "init is 65"},
        BrokenManifest{"ArgumentLong", [](Manifest& m) { m.containers[0].init[2] = std::string(1'025, 'x'); }, kLarge,
                       "init[2]"},
        BrokenManifest{"SettingKeyEmpty", [](Manifest& m) { m.containers[0].settings[0].key.clear(); }, kBad,
                       "settings[0]: key"},
        BrokenManifest{"SettingKeyLine", [](Manifest& m) { m.containers[0].settings[0].key = "a\nlxc.b"; }, kBad,
                       "settings[0]: key"},
        BrokenManifest{"SettingValueLine",
                       [](Manifest& m) { m.containers[0].settings[1].value = "x\nlxc.mount.entry = /"; }, kBad,
                       "settings[1]: value"},
        BrokenManifest{"SettingValueLong",
                       [](Manifest& m) { m.containers[0].settings[1].value = std::string(1'025, 'x'); }, kLarge,
                       "settings[1]: value"},
        BrokenManifest{"TooManySettings",
                       [](Manifest& m) {
                         m.containers[0].settings.resize(65, {"k", "v"});
                       },
                       kLarge, "settings is 65"},
        BrokenManifest{"HandlerPath", [](Manifest& m) { m.containers[0].handler = "/bin/sh"; }, kBad, "handler"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Volumes, ManifestBroken,
    testing::Values(BrokenManifest{"NameDots", [](Manifest& m) { m.containers[0].volumes[0].name = ".."; }, kBad,
                                   "volumes[0]: name"},
                    BrokenManifest{"NameTwice",
                                   [](Manifest& m) {
                                     m.containers[0].volumes.push_back({"certificates", "/x", 0755, 0, 0});
                                   },
                                   kBad, "same name twice"},
                    BrokenManifest{"PathTwice",
                                   [](Manifest& m) {
                                     m.containers[0].volumes.push_back({"v", "/etc/ssl/site", 0755, 0, 0});
                                   },
                                   kBad, "same path twice"},
                    BrokenManifest{"PathEmpty", [](Manifest& m) { m.containers[0].volumes[0].path.clear(); }, kBad,
                                   "volumes[0]: path"},
                    BrokenManifest{"PathRelative", [](Manifest& m) { m.containers[0].volumes[0].path = "etc/ssl"; },
                                   kBad, "volumes[0]: path"},
                    BrokenManifest{"PathRoot", [](Manifest& m) { m.containers[0].volumes[0].path = "/"; }, kBad,
                                   "volumes[0]: path"},
                    BrokenManifest{"PathClimbs", [](Manifest& m) { m.containers[0].volumes[0].path = "/a/../../etc"; },
                                   kBad, "volumes[0]: path"},
                    BrokenManifest{"PathEndsClimbing", [](Manifest& m) { m.containers[0].volumes[0].path = "/a/.."; },
                                   kBad, "volumes[0]: path"},
                    BrokenManifest{"PathDot", [](Manifest& m) { m.containers[0].volumes[0].path = "/a/./b"; }, kBad,
                                   "volumes[0]: path"},
                    BrokenManifest{"PathDoubleSlash", [](Manifest& m) { m.containers[0].volumes[0].path = "/a//b"; },
                                   kBad, "volumes[0]: path"},
                    BrokenManifest{"PathTrailingSlash", [](Manifest& m) { m.containers[0].volumes[0].path = "/a/"; },
                                   kBad, "volumes[0]: path"},
                    BrokenManifest{"PathLine", [](Manifest& m) { m.containers[0].volumes[0].path = "/a\nb"; }, kBad,
                                   "volumes[0]: path"},
                    BrokenManifest{"PathZeroByte",
                                   [](Manifest& m) { m.containers[0].volumes[0].path = std::string("/a\0b", 4); }, kBad,
                                   "volumes[0]: path"},
                    BrokenManifest{"PathComponentLong",
                                   [](Manifest& m) { m.containers[0].volumes[0].path = "/" + std::string(256, 'x'); },
                                   kBad, "volumes[0]: path"},
                    BrokenManifest{"PathLong",
                                   [](Manifest& m) {
                                     m.containers[0].volumes[0].path.clear();
                                     for (int i = 0; i < 513; ++i) m.containers[0].volumes[0].path += "/x";
                                   },
                                   kLarge, "volumes[0]: path (bytes)"},
                    BrokenManifest{"Mode", [](Manifest& m) { m.containers[0].volumes[0].mode = 010000; }, kLarge,
                                   "volumes[0]: mode"},
                    BrokenManifest{"TooMany",
                                   [](Manifest& m) { m.containers[0].volumes.resize(17, m.containers[0].volumes[0]); },
                                   kLarge, "volumes is 17"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Health, ManifestBroken,
    testing::Values(BrokenManifest{"Settle", [](Manifest& m) { m.containers[0].health.settle_ms = 86'400'001; }, kLarge,
                                   "health: settle_ms"},
                    BrokenManifest{"Ready", [](Manifest& m) { m.containers[0].health.ready_timeout_ms = UINT32_MAX; },
                                   kLarge, "health: ready_timeout_ms"},
                    BrokenManifest{"NoCommand", [](Manifest& m) { m.containers[0].health.probe->command.clear(); },
                                   kBad, "probe: command is 0"},
                    BrokenManifest{"EmptyCommand",
                                   [](Manifest& m) { m.containers[0].health.probe->command[0].clear(); }, kBad,
                                   "probe: command"},
                    BrokenManifest{"Timeout", [](Manifest& m) { m.containers[0].health.probe->timeout_ms = 0; }, kBad,
                                   "probe: timeout_ms"},
                    BrokenManifest{"Interval", [](Manifest& m) { m.containers[0].health.probe->interval_ms = 0; }, kBad,
                                   "probe: interval_ms"},
                    BrokenManifest{"Failures", [](Manifest& m) { m.containers[0].health.probe->failures_max = 0; },
                                   kBad, "probe: failures_max"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    RequirementsAndPolicy, ManifestBroken,
    testing::Values(
        BrokenManifest{"Architecture", [](Manifest& m) { m.requirements.architectures[0] = "a b"; }, kBad,
                       "requirements: architectures[0]"},
        BrokenManifest{"Architectures", [](Manifest& m) { m.requirements.architectures.resize(17, "arm"); }, kLarge,
                       "architectures is 17"},
        BrokenManifest{"Kernel", [](Manifest& m) { m.requirements.kernel_min = "5\n"; }, kBad,
                       "requirements: kernel_min"},
        BrokenManifest{"Client", [](Manifest& m) { m.requirements.client_min = std::string(65, '1'); }, kLarge,
                       "requirements: client_min"},
        BrokenManifest{"WaveShare", [](Manifest& m) { m.policy.waves[0].share_bp = 10'001; }, kLarge,
                       "policy: waves[0]: share_bp"},
        BrokenManifest{"WaveSuccess", [](Manifest& m) { m.policy.waves[1].success_bp = 10'001; }, kLarge,
                       "waves[1]: success_bp"},
        BrokenManifest{"WaveCount", [](Manifest& m) { m.policy.waves[0].device_count = 200'001; }, kLarge,
                       "waves[0]: device_count"},
        BrokenManifest{"WaveDevice", [](Manifest& m) { m.policy.waves[0].devices[1] = "gw/02"; }, kBad,
                       "waves[0]: devices[1]"},
        BrokenManifest{"WaveDevices", [](Manifest& m) { m.policy.waves[0].devices.resize(257, "d"); }, kLarge,
                       "devices is 257"},
        BrokenManifest{"WaveOfNobody", [](Manifest& m) { m.policy.waves[1].share_bp = 0; }, kBad,
                       "waves[1]: admits no device"},
        BrokenManifest{"Waves", [](Manifest& m) { m.policy.waves.resize(33, m.policy.waves[0]); }, kLarge,
                       "waves is 33"},
        BrokenManifest{"Budget", [](Manifest& m) { m.policy.failures_bp = 10'001; }, kLarge,
                       "error_budget: failures_bp"},
        BrokenManifest{"LaterAction", [](Manifest& m) { m.policy.budget_action = static_cast<BudgetAction>(3); },
                       kNewer, "error_budget: action is 3"},
        BrokenManifest{"Attempts", [](Manifest& m) { m.policy.attempts_max = 0; }, kBad, "policy: attempts_max"},
        BrokenManifest{"WindowNoDay", [](Manifest& m) { m.policy.windows[0].days = 0; }, kBad, "windows[0]: days"},
        BrokenManifest{"WindowEighthDay", [](Manifest& m) { m.policy.windows[0].days = 128; }, kLarge,
                       "windows[0]: days"},
        BrokenManifest{"WindowStart", [](Manifest& m) { m.policy.windows[0].start_minute = 1'440; }, kLarge,
                       "windows[0]: start_minute"},
        BrokenManifest{"WindowEmpty", [](Manifest& m) { m.policy.windows[0].duration_minutes = 0; }, kBad,
                       "windows[0]: duration_minutes"},
        BrokenManifest{"WindowLong", [](Manifest& m) { m.policy.windows[0].duration_minutes = 1'441; }, kLarge,
                       "duration_minutes"},
        BrokenManifest{"Windows", [](Manifest& m) { m.policy.windows.resize(17, m.policy.windows[0]); }, kLarge,
                       "windows is 17"},
        BrokenManifest{"Salt", [](Manifest& m) { m.policy.salt.resize(65); }, kLarge, "salt"}),
    case_name);

// Everything that is just within the bounds is accepted.
TEST(Manifest, AcceptsTheLargestOfEverything) {
  Manifest manifest = examples::manifest();
  manifest.product = std::string(64, 'x');
  manifest.notes = std::string(1'024, 'x');
  manifest.expires = manifest.issued;
  manifest.groups.clear();
  for (int i = 0; i < 16; ++i) manifest.groups.push_back(examples::group("g" + std::to_string(i)));
  auto& pack = manifest.artifacts[0].packs[0];
  pack.head.assign(256, {examples::hash("h"), 263'168, 262'144, artifact::Codec::zstd});
  pack.head_bytes = 256ULL * 263'168;
  pack.body_count = 400'000 - 256;
  pack.body_bytes = (400'000ULL - 256) * 263'168;
  auto& container = manifest.containers[0];
  container.volumes[0].path = "/" + std::string(255, 'x');
  container.volumes[0].mode = 07777;
  container.health.settle_ms = 86'400'000;
  container.init.assign(64, std::string(1'024, 'x'));
  manifest.policy.waves.assign(1, manifest.policy.waves[0]);
  manifest.policy.waves[0].devices.assign(256, "d");
  manifest.policy.windows[0] = {127, 1'439, 1'440};
  manifest.policy.salt.resize(64);
  const auto decoded = decode_manifest(encode_manifest(manifest));
  EXPECT_TRUE(decoded.has_value()) << decoded.error().message;
}

TEST(Manifest, LooksUpArtifactsAndGroups) {
  const Manifest manifest = examples::manifest();
  EXPECT_EQ(manifest.artifact(examples::hash("artifact 2")), &manifest.artifacts[0]);
  EXPECT_EQ(manifest.artifact(examples::hash("artifact 1")), nullptr);
  EXPECT_TRUE(manifest.is_for(examples::group("plant-7/line-a")));
  EXPECT_TRUE(manifest.is_for(examples::group("plant-7/line-a/cell-1")));
  EXPECT_TRUE(manifest.is_for(examples::group("plant-9/line-z")));
  EXPECT_FALSE(manifest.is_for(examples::group("plant-7")));
  EXPECT_FALSE(manifest.is_for(examples::group("plant-7/line-b")));
}

// --- bytes that no encoder of ours writes ----------------------------------------------------------
Bytes with_format(std::uint8_t format) {
  FlatBuilder builder;
  const auto text = builder.CreateString("p");
  const auto groups = write_groups(builder, {examples::group("g")});
  const auto artifacts = builder.CreateVector(std::vector<flatbuffers::Offset<fb::Artifact>>{});
  const auto containers = builder.CreateVector(std::vector<flatbuffers::Offset<fb::Container>>{});
  builder.Finish(fb::CreateManifest(builder, format, text, text, 1, 0, 0, groups, artifacts, containers),
                 fb::ManifestIdentifier());
  return flat::take(builder);
}

TEST(Manifest, OfALaterFormatAsksForAnUpdate) {
  const auto later = decode_manifest(with_format(2));
  EXPECT_EQ(later.error().code, Code::unsupported);
  EXPECT_NE(later.error().message.find("manifest: format is 2: made by a newer version; update"), std::string::npos);
  EXPECT_EQ(decode_manifest(with_format(0)).error().code, Code::malformed);
}

TEST(Manifest, WithoutWhatIsRequiredIsRefused) {
  FlatBuilder builder;
  fb::ManifestBuilder table(builder);
  table.add_sequence(1);
  const auto end = builder.EndTable(builder.GetSize());
  builder.Finish(flatbuffers::Offset<fb::Manifest>(end), fb::ManifestIdentifier());
  EXPECT_EQ(decode_manifest(flat::take(builder)).error().code, Code::malformed);
}

TEST(Manifest, TimesPastTheYear9999AreRefused) {
  FlatBuilder builder;
  const auto text = builder.CreateString("p");
  const auto groups = write_groups(builder, {examples::group("g")});
  const auto artifacts = builder.CreateVector(std::vector<flatbuffers::Offset<fb::Artifact>>{});
  const auto containers = builder.CreateVector(std::vector<flatbuffers::Offset<fb::Container>>{});
  builder.Finish(fb::CreateManifest(builder, 1, text, text, 1, UINT64_MAX, 0, groups, artifacts, containers),
                 fb::ManifestIdentifier());
  const auto decoded = decode_manifest(flat::take(builder));
  EXPECT_EQ(decoded.error().code, Code::malformed);
  EXPECT_NE(decoded.error().message.find("issued_ms"), std::string::npos);
}

// One chunk table is named 250 x 32 x 16 times in a message of a few kilobytes. The Verifier stops at its bound of
// tables, and does not take long.
TEST(Manifest, ThatNamesOneTableTooOftenIsRefused) {
  FlatBuilder builder;
  const auto hash = flat_hash(examples::hash("h"));
  const auto chunk = fb::CreateChunkRef(builder, &hash, 1, 1, fb::Codec::raw);
  const auto head = builder.CreateVector(std::vector(250, chunk));
  const auto pack = fb::CreatePack(builder, fb::PackKind::full, &hash, nullptr, head, 0, 250, 0, 0, 1, 0);
  const auto packs = builder.CreateVector(std::vector(32, pack));
  const auto artifact = fb::CreateArtifact(builder, &hash, fb::ArtifactKind::tree, 1, 1, 1, packs);
  const auto artifacts = builder.CreateVector(std::vector(16, artifact));
  const auto text = builder.CreateString("p");
  const auto groups = write_groups(builder, {examples::group("g")});
  const auto containers = builder.CreateVector(std::vector<flatbuffers::Offset<fb::Container>>{});
  builder.Finish(fb::CreateManifest(builder, 1, text, text, 1, 0, 0, groups, artifacts, containers),
                 fb::ManifestIdentifier());
  const Bytes bytes = flat::take(builder);
  ASSERT_LT(bytes.size(), 4'096U);
  const auto decoded = decode_manifest(bytes);
  EXPECT_EQ(decoded.error().code, Code::malformed);
  EXPECT_NE(decoded.error().message.find("too many tables"), std::string::npos) << decoded.error().message;
}

}  // namespace
}  // namespace instar::wire
