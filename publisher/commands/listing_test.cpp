#include "publisher/commands/listing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

Json numbered_rows(int count) {
  Json rows = Json::array();
  for (int i = count; i >= 1; --i) rows.push_back({{"device", "box-" + std::to_string(i)}});
  return rows;
}

TEST(Listing, RowsAreSortedAsPeopleCount) {
  auto rows = numbered_rows(12);
  sort_naturally(rows, "device");
  EXPECT_EQ(rows[1]["device"], "box-2");
  EXPECT_EQ(rows[11]["device"], "box-12");
  EXPECT_EQ(rows.size(), 12U);
}

TEST(Listing, APageSaysWhereTheNextOneIs) {
  const auto rows = numbered_rows(12);
  EXPECT_EQ(page_of(rows, {}).rows.size(), 12U);
  EXPECT_EQ(page_text(page_of(rows, {}), {}), "");
  const Paging second{5, 2};
  const auto page = page_of(rows, second);
  ASSERT_EQ(page.rows.size(), 5U);
  EXPECT_EQ(page.rows[0]["device"], "box-7");
  EXPECT_EQ(page_text(page, second), "6-10 of 12; --page 3 shows the next ones\n");
  const Paging last{5, 3};
  EXPECT_EQ(page_text(page_of(rows, last), last), "11-12 of 12\n");
  const Paging beyond{5, 4};
  EXPECT_TRUE(page_of(rows, beyond).rows.empty());
  EXPECT_THAT(page_text(page_of(rows, beyond), beyond), HasSubstr("there are 3 pages"));
  const Paging huge{1'000'000, 1'000'000};
  EXPECT_TRUE(page_of(rows, huge).rows.empty());
}

TEST(Listing, AStateThatIsNoneIsNamedWithTheOneThatWasMeant) {
  EXPECT_THAT(*states_of({"failed,rolled-back", "refused"}, all_steps()),
              testing::ElementsAre("failed", "rolled_back", "refused"));
  const auto wrong = states_of({"comitted"}, all_steps());
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().exit, Exit::usage);
  EXPECT_THAT(wrong.error().error.message, HasSubstr("did you mean committed?"));
  EXPECT_THAT(states_of({"x"}, all_steps()).error().error.message, HasSubstr("waiting, fetching"));
}

TEST(DeviceFilter, EachPartMustHold) {
  const Json row{{"device", "box-1"},
                 {"online", true},
                 {"product", "gateway"},
                 {"running", {{"release", "2.4.1"}}},
                 {"degraded", {"no space"}}};
  EXPECT_TRUE(DeviceFilter{}.takes(row));
  EXPECT_FALSE(DeviceFilter{}.is_set());
  const auto with = [](auto change) {
    DeviceFilter filter;
    change(filter);
    EXPECT_TRUE(filter.is_set());
    return filter;
  };
  EXPECT_TRUE(with([](auto& filter) { filter.product = "gateway"; }).takes(row));
  EXPECT_FALSE(with([](auto& filter) { filter.product = "press"; }).takes(row));
  EXPECT_TRUE(with([](auto& filter) { filter.release = "2.4.1"; }).takes(row));
  EXPECT_FALSE(with([](auto& filter) { filter.release = "2.4.0"; }).takes(row));
  EXPECT_FALSE(with([](auto& filter) { filter.offline = true; }).takes(row));
  EXPECT_TRUE(with([](auto& filter) { filter.online = true; }).takes(row));
  EXPECT_TRUE(with([](auto& filter) { filter.degraded = true; }).takes(row));
  EXPECT_FALSE(with([](auto& filter) { filter.degraded = true; }).takes({{"device", "box-2"}}));
  EXPECT_TRUE(with([](auto& filter) { filter.offline = true; }).takes({{"device", "box-2"}, {"running", nullptr}}));
}

}  // namespace
}  // namespace instar::publisher
