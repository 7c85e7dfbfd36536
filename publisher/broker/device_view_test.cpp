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

TEST(DeviceViews, SayHowFarADevicesClockIsFromTheBrokers) {
  Json row{{"device", "box-1"}, {"clock", "synchronized"}, {"time_ms", kDeviceNow.value}, {"clock_offset_ms", 40}};
  EXPECT_EQ(read_device(row).description.clock, wire::ClockState::synchronized);
  EXPECT_EQ(read_device(row).description.time, kDeviceNow);
  EXPECT_THAT(device_text(row, kDeviceNow), HasSubstr("synchronized; at its last hello 2025-10-"));
  EXPECT_THAT(device_text(row, kDeviceNow), HasSubstr("as the broker's"));
  row["clock"] = "free";
  row["clock_offset_ms"] = 3 * 3'600'000;
  EXPECT_THAT(device_text(row, kDeviceNow), HasSubstr("not synchronized"));
  EXPECT_THAT(device_text(row, kDeviceNow), HasSubstr("3 h behind the broker's"));
  row["clock_offset_ms"] = -3 * 3'600'000;
  EXPECT_THAT(device_text(row, kDeviceNow), HasSubstr("3 h ahead of the broker's"));
  row["clock_offset_ms"] = nullptr;
  row["time_ms"] = nullptr;
  row["clock"] = "unknown";
  EXPECT_THAT(device_text(row, kDeviceNow), HasSubstr("it does not say"));
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
