#include "publisher/broker/release_checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::publisher {
namespace {

using testing::HasSubstr;
using testing::Not;
using Kind = ReleaseDoubt::Kind;

RolloutStatus before(const std::string& id, const std::string& product, const std::string& content) {
  RolloutStatus out;
  out.rollout = id;
  out.product = product;
  out.release = "1.3";
  out.state = "aborted";
  out.content = content;
  return out;
}

TEST(ReleaseName, OfOtherContentIsAskedAbout) {
  const auto doubt = check_name({before("aa", "gateway", "11"), before("bb", "gateway", "22")}, "gateway", "1.3", "11");
  EXPECT_EQ(doubt.kind, Kind::question);
  EXPECT_THAT(doubt.text, HasSubstr("rollout bb (aborted"));
  EXPECT_THAT(doubt.text, HasSubstr("--release"));
}

TEST(ReleaseName, OfTheSameContentIsWorthALine) {
  const auto doubt = check_name({before("aa", "gateway", "11")}, "gateway", "1.3", "11");
  EXPECT_EQ(doubt.kind, Kind::notice);
  EXPECT_THAT(doubt.text, HasSubstr("with the same content"));
}

TEST(ReleaseName, OfAnotherProductIsAnothers) {
  EXPECT_EQ(check_name({before("aa", "press", "11")}, "gateway", "1.3", "22").kind, Kind::none);
  EXPECT_EQ(check_name({before("aa", "gateway", "11")}, "gateway", "1.4", "22").kind, Kind::none);
}

class GroupsOfARelease : public testing::Test {
 protected:
  KnownFleet fleet{{{"plant-7", 214}}, {{"plant-7", 214}, {"plant-9", 12}}, {{"gateway", 226}, {"press", 4}}};
};

TEST_F(GroupsOfARelease, WithDevicesAreFine) {
  EXPECT_EQ(check_groups(fleet, "gateway").kind, Kind::none);
}

TEST_F(GroupsOfARelease, ThatNobodyIsInAreAskedAboutWithThoseThereAre) {
  fleet.by_group = {{"plant7", 0}};
  const auto doubt = check_groups(fleet, "gateway");
  EXPECT_EQ(doubt.kind, Kind::question);
  EXPECT_EQ(
      doubt.text,
      "no known device of product gateway is in plant7; groups with gateway: plant-7 (214), plant-9 (12); did you "
      "mean plant-7?");
}

TEST_F(GroupsOfARelease, OneThatIsEmptyAmongOthersIsNamedAlone) {
  fleet.by_group = {{"plant-7", 214}, {"plant-8", 0}};
  EXPECT_THAT(check_groups(fleet, "gateway").text, HasSubstr("is in plant-8;"));
}

TEST_F(GroupsOfARelease, BeforeTheFirstDeviceOfTheProductAreNoQuestion) {
  fleet = {{{"plant-7", 0}}, {}, {}};
  const auto first = check_groups(fleet, "gateway");
  EXPECT_EQ(first.kind, Kind::notice);
  EXPECT_THAT(first.text, Not(HasSubstr("Products")));
  fleet.products = {{"gateway", 226}};
  const auto typo = check_groups(fleet, "gatway");
  EXPECT_EQ(typo.kind, Kind::notice);
  EXPECT_THAT(typo.text, HasSubstr("gateway (226); did you mean gateway?"));
}

TEST(DevicesThatCannotRunIt, AreCountedAsFarAsTheyWereLookedAt) {
  UnfitDevices unfit{{{"armv7l", {"a", "b", "c", "d"}}, {"mips", {"e"}}}, false};
  EXPECT_EQ(unfit_text(unfit), "4 devices are armv7l (a, b, c, …), 1 device is mips (e)");
  unfit.is_part = true;
  EXPECT_EQ(unfit_text(unfit), "at least 4 devices are armv7l (a, b, c, …), at least 1 device is mips (e)");
}

TEST(KnownFleets, AreReadFromAnyAnswer) {
  EXPECT_TRUE(read_known_fleet(Json::object()).by_group.empty());
  const auto fleet = read_known_fleet({{"by_group", {{{"group", "plant-7"}, {"devices", 3}}, 7}}});
  ASSERT_EQ(fleet.by_group.size(), 2U);
  EXPECT_EQ(fleet.by_group[0].devices, 3U);
}

}  // namespace
}  // namespace instar::publisher
