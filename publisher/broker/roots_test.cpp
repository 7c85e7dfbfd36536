#include "publisher/broker/roots.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::publisher {
namespace {

using testing::HasSubstr;

constexpr WallMs kRootsNow{1'763'881'282'000};

TEST(RootState, SaysWhichVersionsTheBrokerKeeps) {
  const auto state = read_root_state({{"root_version", 6}, {"root_chain", Json::parse("[[1,1],[3,6]]")}});
  EXPECT_EQ(state.version, 6U);
  for (const std::uint64_t version : {1U, 3U, 4U, 6U}) EXPECT_TRUE(state.keeps(version)) << version;
  for (const std::uint64_t version : {0U, 2U, 7U}) EXPECT_FALSE(state.keeps(version)) << version;
}

TEST(RootState, AnAnswerWithoutThemOrWithNonsenseIsNoError) {
  EXPECT_FALSE(read_root_state(Json::object()).keeps(1));
  const auto state = read_root_state({{"root_chain", Json::parse(R"([1,[2],["a",3],[4,5,6],null])")}});
  EXPECT_TRUE(state.kept.empty());
  EXPECT_EQ(root_warnings(state, kRootsNow), "");
}

TEST(RootState, WarnsOfWhatExpiresSoonAndOfABrokerThatWasRestored) {
  Json answer{{"root_version", 2}, {"root_expires_ms", kRootsNow.value + 86'400'000 * 29LL}, {"root_behind", Json()}};
  EXPECT_THAT(root_warnings(read_root_state(answer), kRootsNow), HasSubstr("root document 2 expires on 2025-12-22"));
  answer["root_expires_ms"] = kRootsNow.value - 1;
  EXPECT_THAT(root_warnings(read_root_state(answer), kRootsNow), HasSubstr("root document 2 expired on"));
  answer["root_expires_ms"] = kRootsNow.value + 86'400'000 * 31LL;
  EXPECT_EQ(root_warnings(read_root_state(answer), kRootsNow), "");
  answer["root_behind"] = {{"ours", 2}, {"newest", 5}, {"devices", 12}};
  EXPECT_THAT(root_warnings(read_root_state(answer), kRootsNow), HasSubstr("12 of its devices later ones, up to 5"));
}

}  // namespace
}  // namespace instar::publisher
