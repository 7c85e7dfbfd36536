#include "publisher/console/similar.hpp"

#include <gtest/gtest.h>

namespace instar::publisher {
namespace {

TEST(Similar, CountsWhatWasMistyped) {
  EXPECT_EQ(edit_distance("watch", "watch"), 0U);
  EXPECT_EQ(edit_distance("wach", "watch"), 1U);
  EXPECT_EQ(edit_distance("pubilsh", "publish"), 1U) << "two letters that changed places";
  EXPECT_EQ(edit_distance("Publish", "publish"), 0U);
  EXPECT_EQ(edit_distance("", "list"), 4U);
}

TEST(Similar, FindsTheWordThatWasMeant) {
  const std::vector<std::string> words{"keygen", "pack", "packs", "publish", "plan", "rollout", "devices", "groups"};
  EXPECT_EQ(most_similar("pubish", words), "publish");
  EXPECT_EQ(most_similar("roll", words), "rollout");
  EXPECT_EQ(most_similar("device", words), "devices");
  EXPECT_EQ(most_similar("lst", {"list", "show"}), "list");
  EXPECT_EQ(most_similar("GROUPS", words), "groups");
}

TEST(Similar, ProposesNothingFarAway) {
  EXPECT_EQ(most_similar("nonsense", {"publish", "rollout"}), "");
  EXPECT_EQ(most_similar("x", {"y", "a"}), "");
  EXPECT_EQ(most_similar("", {"a"}), "");
  EXPECT_EQ(most_similar(std::string(10'000, 'a'), {"a"}), "");
  EXPECT_EQ(most_similar("list", {}), "");
}

}  // namespace
}  // namespace instar::publisher
