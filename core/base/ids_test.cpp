#include "core/base/ids.hpp"

#include <gtest/gtest.h>

namespace instar {
namespace {

TEST(DeviceId, TakesTheAlphabetOfClientIds) {
  EXPECT_TRUE(DeviceId::parse("gw-01_A").has_value());
  EXPECT_TRUE(DeviceId::parse(std::string(64, 'x')).has_value());
}

TEST(DeviceId, RefusesWhatWouldNotBeOneTopicLevel) {
  for (const std::string bad : {"", "a/b", "a+", "#", "a b", "ä", "a.b", "$SYS"}) {
    const auto id = DeviceId::parse(bad);
    ASSERT_FALSE(id.has_value()) << bad;
    EXPECT_EQ(id.error().code, Code::invalid_argument);
    EXPECT_NE(id.error().message.find("A-Z"), std::string::npos);
  }
  EXPECT_FALSE(DeviceId::parse(std::string(65, 'x')).has_value());
}

TEST(ClientId, TakesAndRefusesWhatADeviceIdDoes) {
  EXPECT_EQ(ClientId::parse("op-1")->str(), "op-1");
  for (const std::string bad : {"", "a/b", "#", "a.b"}) {
    const auto id = ClientId::parse(bad);
    ASSERT_FALSE(id.has_value()) << bad;
    EXPECT_NE(id.error().message.find("client id"), std::string::npos);
  }
  EXPECT_FALSE(ClientId::parse(std::string(65, 'x')).has_value());
}

TEST(GroupPath, RefusesEmptyLevelsWildcardsAndDepth) {
  for (const std::string bad : {"", "/", "a/", "/a", "a//b", "a/+", "a/#", "a/b/c/d/e"}) {
    EXPECT_FALSE(GroupPath::parse(bad).has_value()) << bad;
  }
  EXPECT_TRUE(GroupPath::parse("a/b/c/d").has_value());
}

TEST(GroupPath, IsCoveredByItsParents) {
  const auto group = GroupPath::parse("plant-7/line-a/cell").value();
  const auto all = group.with_parents();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].str(), "plant-7/line-a/cell");
  EXPECT_EQ(all[1].str(), "plant-7/line-a");
  EXPECT_EQ(all[2].str(), "plant-7");
}

TEST(GroupPath, CoversItselfAndBelowButNotSiblingsWithTheSamePrefix) {
  const auto plant = GroupPath::parse("plant-7").value();
  EXPECT_TRUE(plant.covers(plant));
  EXPECT_TRUE(plant.covers(GroupPath::parse("plant-7/line-a").value()));
  EXPECT_FALSE(plant.covers(GroupPath::parse("plant-70/line-a").value()));
  EXPECT_FALSE(GroupPath::parse("plant-7/line-a").value().covers(plant));
  EXPECT_FALSE(GroupPath{}.covers(plant));
}

TEST(GroupPath, MatchesKeyFilters) {
  const auto line = GroupPath::parse("plant-7/line-a").value();
  EXPECT_TRUE(line.matches("#"));
  EXPECT_TRUE(line.matches("plant-7/#"));
  EXPECT_TRUE(line.matches("plant-7/line-a"));
  EXPECT_FALSE(line.matches("plant-7"));
  EXPECT_FALSE(line.matches("plant/#"));
  EXPECT_TRUE(GroupPath::parse("plant-7").value().matches("plant-7/#"));
}

TEST(Product, IsOneTopicLevel) {
  EXPECT_TRUE(is_product("gateway-2"));
  EXPECT_TRUE(is_product(std::string(64, 'p')));
  for (const auto& bad :
       {std::string(), std::string(65, 'p'), std::string("press.2"), std::string("a/b"), std::string("a b"),
        std::string("+"), std::string("#"), std::string("$x"), std::string("pr\303\253ss"), std::string("a\0b", 3)})
    EXPECT_FALSE(is_product(bad)) << bad;
}

TEST(Name, AllowsVersionsButNoPaths) {
  EXPECT_TRUE(is_name("2.4.1-rc1"));
  EXPECT_FALSE(is_name(".."));
  EXPECT_FALSE(is_name(".hidden"));
  EXPECT_FALSE(is_name("a/b"));
  EXPECT_FALSE(is_name(""));
}

}  // namespace
}  // namespace instar
