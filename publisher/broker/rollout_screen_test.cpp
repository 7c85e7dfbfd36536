#include "publisher/broker/rollout_screen.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "publisher/console/table.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr WallMs kScreenNow{1'763'881'282'000};

// A rollout that was paused after its first of four waves, with long words everywhere.
RolloutStatus paused_rollout() {
  RolloutStatus status;
  status.rollout = "c46c46e3df543d9a";
  status.product = "gateway";
  status.release = "2.4.1";
  status.sequence = 42;
  status.groups = {"plant-7", "plant-9/line-z"};
  status.state = "paused";
  status.cause = "14 of 219 devices failed in wave 1, at most 2% may: the error budget of the release is spent";
  status.devices = 219;
  status.counts[4] = 205;  // committed
  status.counts[7] = 14;   // failed
  status.bytes_sent = 1'234'567;
  status.bytes_full = 987'654'321;
  status.started = {kScreenNow.value - 600'000};
  status.updated = kScreenNow;
  status.waits_for = "205 of 219 devices have committed, 219 are needed";
  for (const std::uint64_t admitted : {219U, 0U, 0U, 0U}) {
    RolloutStatus::Wave wave;
    wave.admitted = admitted;
    wave.opened = admitted > 0;
    wave.committed = admitted > 0 ? 205 : 0;
    wave.failed = admitted > 0 ? 14 : 0;
    status.waves.push_back(wave);
  }
  for (int i = 0; i < 12; ++i)
    status.reasons.push_back(
        {"unhealthy", "probe of container 'app' failed 3 times in a row: exit code 1: no route", 3});
  return status;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(RolloutScreen, FitsEveryScreen) {
  for (const auto size : {ScreenSize{80, 24}, {40, 24}, {200, 50}, {40, 10}, {80, 3}, {20, 8}, {10, 3}}) {
    const auto lines = lines_of(rollout_screen(paused_rollout(), kScreenNow, size));
    EXPECT_LE(lines.size(), std::max<std::size_t>(size.rows, 2) - 1) << size.columns << " x " << size.rows;
    for (const auto& line : lines) EXPECT_LT(display_width(line), std::max<std::size_t>(size.columns, 2)) << line;
  }
}

TEST(RolloutScreen, KeepsTheHeadAndTheCommandsOnASmallScreen) {
  const auto text = rollout_screen(paused_rollout(), kScreenNow, {80, 24});
  EXPECT_THAT(text, HasSubstr("gateway 2.4.1 (sequence 42)"));
  EXPECT_THAT(text, HasSubstr("paused: 14 of 219 devices failed"));
  EXPECT_THAT(text, HasSubstr("#] 219 of 219 devices"));
  EXPECT_THAT(text, HasSubstr("205 committed, 14 failed"));
  EXPECT_THAT(text, HasSubstr("  instar rollout resume c46c46e3df543d9a"));
  EXPECT_THAT(text, HasSubstr("  instar rollout abort c46c46e3df543d9a"));
  EXPECT_THAT(text, HasSubstr("wave 1: 219 devices: 205 committed, 14 failed"));
}

TEST(RolloutScreen, LeavesOutCountsOfZero) {
  const auto text = rollout_screen(paused_rollout(), kScreenNow, {200, 50});
  for (const auto* word : {"silent", "in flight", "retrying", "refused", "late", " 0 "})
    EXPECT_THAT(text, Not(HasSubstr(word)));
}

TEST(RolloutScreen, ACommandIsWholeOnAScreenOfFortyColumns) {
  const auto lines = lines_of(rollout_screen(paused_rollout(), kScreenNow, {40, 40}));
  EXPECT_THAT(lines, testing::Contains("  instar rollout retry c46c46e3df543d9a"));
}

TEST(RolloutScreen, ShowsTheOpenWaveWhereThereIsRoomForOne) {
  auto status = paused_rollout();
  status.wave = 3;
  status.waves[2].opened = true;
  status.waves[2].admitted = 1'000;
  status.reasons.clear();
  const auto full = rollout_screen(status, kScreenNow, {80, 40});
  EXPECT_THAT(full, HasSubstr("wave 1: 219 devices"));
  EXPECT_THAT(full, HasSubstr("wave 4: closed"));
  for (std::size_t rows = 40; rows > 0; --rows) {
    const auto text = rollout_screen(status, kScreenNow, {80, rows});
    const bool shows_open = text.find("wave 3: 1000 devices") != std::string::npos;
    EXPECT_TRUE(shows_open || text.find("wave 1:") == std::string::npos) << rows;
  }
}

TEST(RolloutScreen, NothingFromADeviceMovesTheCursor) {
  auto status = paused_rollout();
  status.cause = "a\x1b[2Jb";
  status.reasons.front().text = "x\ny\x1b[31m";
  EXPECT_THAT(rollout_screen(status, kScreenNow, {80, 24}), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace instar::publisher
