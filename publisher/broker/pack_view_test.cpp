#include "publisher/broker/pack_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace instar::publisher {
namespace {

using testing::HasSubstr;

Json pack_row(const std::string& first, std::uint64_t devices, Json rollouts = Json::array()) {
  return {{"pack", first + std::string(64 - first.size(), '0')},
          {"state", "complete"},
          {"kind", "delta"},
          {"artifact", std::string(64, 'a')},
          {"bytes", 4'120'113},
          {"used_ms", 1'760'000'000'000},
          {"rollouts", std::move(rollouts)},
          {"devices", devices}};
}

TEST(PackView, SaysWhoNeedsEach) {
  Json rows = Json::array();
  rows.push_back(pack_row("5ab0", 1'200, Json::array({"8fb5e0a1c7d2934e"})));
  rows.push_back(pack_row("6c", 0));
  const auto text = packs_text(rows, 8'240'226, {1'760'000'060'000});
  EXPECT_THAT(text, HasSubstr("5ab0000000000000  complete  delta  aaaaaaaaaaaaaaaa"));
  EXPECT_THAT(text, HasSubstr("rollout 8fb5e0a1c7d2934e, 1200 devices"));
  EXPECT_THAT(text, HasSubstr("2 packs, 8.24 MB at most"));
  EXPECT_EQ(packs_text(Json::array(), 0, {}), "no packs are here\n");
}

TEST(PackView, APackIsNamedByTheBeginningOfItsId) {
  Json rows = Json::array();
  rows.push_back(pack_row("5ab0", 0));
  rows.push_back(pack_row("5ac0", 0));
  EXPECT_EQ(find_pack(rows, "5ab").value(), rows[0]["pack"].get<std::string>());
  EXPECT_EQ(find_pack(rows, "5a").error().code, Code::invalid_argument);
  EXPECT_EQ(find_pack(rows, "77").error().code, Code::not_found);
  EXPECT_EQ(find_pack(rows, "").error().code, Code::invalid_argument);
  EXPECT_EQ(find_pack(rows, "5A").error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace instar::publisher
