#include <gtest/gtest.h>

#include "core/wire/manifest.hpp"
#include "core/wire/testing/examples.hpp"

namespace instar::wire {
namespace {

TEST(ManifestContent, IsTheSameHoweverAndWheneverItGoesOut) {
  const auto before = examples::manifest();
  auto after = before;
  ++after.sequence;
  after.issued = after.issued + 1;
  after.expires = after.expires + 1;
  after.groups = {examples::group("elsewhere")};
  after.policy = {};
  after.notes = "other words";
  after.artifacts[0].packs.pop_back();
  EXPECT_EQ(content_hash(after), content_hash(before));
}

TEST(ManifestContent, DiffersInWhatADeviceRunsByIt) {
  const auto before = examples::manifest();
  const auto differs = [&](auto change) {
    auto after = before;
    change(after);
    return content_hash(after) != content_hash(before);
  };
  EXPECT_TRUE(differs([](Manifest& m) { m.release = "other"; }));
  EXPECT_TRUE(differs([](Manifest& m) { m.containers[0].artifact = examples::hash("other"); }));
  EXPECT_TRUE(differs([](Manifest& m) { m.containers[0].settings.push_back({"lxc.environment", "A=1"}); }));
  EXPECT_TRUE(differs([](Manifest& m) { m.containers[0].health.settle_ms += 1; }));
  EXPECT_TRUE(differs([](Manifest& m) { m.requirements.free_bytes_min += 1; }));
}

}  // namespace
}  // namespace instar::wire
