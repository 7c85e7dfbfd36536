#include "publisher/broker/device_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::publisher {
namespace {

using testing::HasSubstr;

constexpr WallMs kDeviceNow{1'760'000'060'000};

TEST(DeviceViews, ShowRowsAndNothings) {
  const Json row{{"device", "box-1"},
                 {"online", true},
                 {"product", "gateway"},
                 {"groups", {"plant-7"}},
                 {"last_seen_ms", kDeviceNow.value - 5'000},
                 {"running", {{"release", "2.4.0"}, {"sequence", 6}}}};
  const auto text = devices_text(Json::array({row, {{"device", "box-2"}}}), kDeviceNow);
  EXPECT_THAT(text, HasSubstr("box-1   yes     gateway  2.4.0      6"));
  EXPECT_THAT(text, HasSubstr("5 s ago"));
  EXPECT_THAT(text, HasSubstr("box-2   no"));
  EXPECT_THAT(devices_text(Json::array(), kDeviceNow), HasSubstr("no devices"));
  EXPECT_THAT(device_text(row, kDeviceNow), HasSubstr("2.4.0 (sequence 6)"));
}

TEST(DeviceViews, ReadWhatADeviceTakesBesideTrees) {
  const auto device =
      read_device({{"device", "with"}, {"handlers", {"modem", "kernel"}}, {"image_formats", {"ext4", "zonefs"}}});
  EXPECT_EQ(device.description.handlers, (std::vector<std::string>{"modem", "kernel"}));
  EXPECT_EQ(device.description.image_formats, std::vector{wire::ImageFormat::ext4}) << "another is of a later version";
}

TEST(DeviceViews, PassOverWhatIsNoValue) {
  const auto device = read_device({{"groups", {1, "+"}},
                                   {"running", {{"release", "2.4.0"}, {"artifacts", {"00", 7}}}},
                                   {"last_seen_ms", "now"},
                                   {"memory_bytes", -1}});
  EXPECT_TRUE(device.description.groups.empty());
  ASSERT_TRUE(device.description.running.has_value());
  EXPECT_TRUE(device.description.running->artifacts.empty());
  EXPECT_EQ(device.last_seen, WallMs{});
  EXPECT_EQ(device.description.memory_bytes, 0U);
}

}  // namespace
}  // namespace instar::publisher
