#include "publisher/broker/fleet_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/wire/testing/examples.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;
namespace examples = wire::examples;

wire::Manifest release() {
  auto manifest = examples::manifest();
  manifest.policy = {};
  manifest.containers[0].handler.clear();
  manifest.containers[0].health.ready_timeout_ms = 0;
  manifest.artifacts[0].packs[1].format = artifact::kPackFormat;
  manifest.requirements.free_bytes_min = 0;
  manifest.requirements.memory_bytes_min = 0;
  return manifest;
}

KnownDevice device(const std::string& name, bool has_base) {
  KnownDevice out;
  out.device = name;
  out.description.product = "gateway-2";
  out.description.groups = {examples::group("plant-7/line-a")};
  out.description.architecture = "x86_64";
  out.description.kernel = "6.1";
  out.description.client_version = "0.1.0";
  out.description.memory_bytes = 64'000'000;
  out.description.free_bytes = 100'000'000;
  out.description.running = examples::running();
  if (!has_base) out.description.running->artifacts.clear();
  return out;
}

TEST(FleetPlan, CountsWhatEachDeviceTakes) {
  const auto plan =
      plan_release(release(), 2'000, {device("a", true), device("b", true), device("c", false)}, {}, WallMs{1});
  ASSERT_EQ(plan.groups.size(), 2U);
  const auto& group = plan.groups[0];
  EXPECT_EQ(group.devices, 3U);
  ASSERT_TRUE(group.packs.contains("delta") && group.packs.contains("full"));
  EXPECT_EQ(group.packs.at("delta").devices, 2U);
  EXPECT_EQ(group.packs.at("delta").bytes_max, 700U + 90'000 + 300 + 2'000) << "head, body, framing, manifest";
  EXPECT_EQ(group.packs.at("full").bytes, 1'500U + 3'000'000 + 9'000 + 2'000);
  EXPECT_EQ(plan.groups[1].devices, 0U);
}

TEST(FleetPlan, ListsDevicesThatWouldRefuseWithTheReason) {
  auto other = device("arm", true);
  other.description.architecture = "mips";
  auto old = device("old", true);
  old.description.kernel = "4.4";
  auto done = device("done", true);
  done.description.running->sequence = 42;
  const auto plan = plan_release(release(), 2'000, {other, old, done}, {}, WallMs{1});
  const auto& group = plan.groups[0];
  EXPECT_EQ(group.newer, 1U);
  ASSERT_EQ(group.refusals.size(), 2U);
  const auto text = plan_text(plan, {});
  EXPECT_THAT(text, HasSubstr("1 device would refuse: unsupported: the release is for aarch64, x86_64"));
  EXPECT_THAT(text, HasSubstr("1 device would refuse: unsupported: the release needs kernel 5.10 or later"));
  EXPECT_THAT(text, HasSubstr("Nothing was sent."));
}

TEST(FleetPlan, KnowsWhatDevicesTakeBesideTrees) {
  auto manifest = release();
  manifest.containers[0].handler = "kernel";
  manifest.containers[0].init.clear();
  manifest.containers[0].settings.clear();
  manifest.containers[0].volumes.clear();
  manifest.containers[0].health.probe.reset();
  auto able = device("able", true);
  able.description.handlers = {"kernel"};
  const auto plan = plan_release(manifest, 2'000, {able, device("plain", true)}, {}, WallMs{1});
  ASSERT_EQ(plan.groups[0].refusals.size(), 1U);
  EXPECT_THAT(plan_text(plan, {}),
              HasSubstr("1 device would refuse: unsupported: payload 'web' is for the handler kernel"));
}

TEST(FleetPlan, CountsTheDevicesOfEachWave) {
  auto manifest = release();
  wire::Wave named;
  named.devices = {"d3"};
  wire::Wave counted;
  counted.device_count = 4;
  wire::Wave all;
  all.share_bp = 10'000;
  manifest.policy.waves = {named, counted, all};
  std::vector<KnownDevice> fleet;
  for (int i = 0; i < 20; ++i) fleet.push_back(device("d" + std::to_string(i), true));
  const auto waves = plan_release(manifest, 2'000, fleet, {}, WallMs{1}).groups[0].waves;
  ASSERT_EQ(waves.size(), 3U);
  EXPECT_EQ(waves[0], 1U);
  EXPECT_GE(waves[1], 3U) << "4 by place, of which the named one may be one";
  EXPECT_EQ(waves[0] + waves[1] + waves[2], 20U);
}

TEST(FleetPlan, DedupeIsExactIfTheBaseIsOnThisMachine) {
  auto manifest = release();
  auto& packs = manifest.artifacts[0].packs;
  packs[1].kind = artifact::PackKind::dedupe;
  packs[1].base = {};
  const auto held = examples::hash("artifact 1");
  auto plan = plan_release(manifest, 0, {device("a", true)}, {}, WallMs{1});
  EXPECT_FALSE(plan.groups[0].packs.at("dedupe").exact);
  EXPECT_THAT(plan_text(plan, {}), HasSubstr("≤ "));
  plan = plan_release(manifest, 0, {device("a", true)}, {{{packs[1].id, held}, 1'234}}, WallMs{1});
  EXPECT_TRUE(plan.groups[0].packs.at("dedupe").exact);
  EXPECT_EQ(plan.groups[0].packs.at("dedupe").bytes, 1'234U + 300);
}

}  // namespace
}  // namespace instar::publisher
