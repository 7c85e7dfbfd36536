#include "device-client/watchdog.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

// A plain file in place of the device: each feeding adds a byte. It accepts no timeout, so the configured one counts.
class WatchdogTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(files::write_file_atomic(device(), {}, 0600)); }
  std::string device() const { return folder_.path() + "/watchdog"; }
  std::string count() const { return folder_.path() + "/boots"; }
  Watchdog start() {
    auto started = Watchdog::start({device(), 30, "", 0, count(), &log_}, now_);
    EXPECT_TRUE(started.has_value()) << started.error().message;
    return std::move(*started);
  }
  // Feeds every ten seconds, as the daemon does.
  void run(Watchdog& watchdog, bool well, std::int64_t ms) {
    for (std::int64_t i = 0; i < ms; i += 10'000) {
      now_.value += 10'000;
      watchdog.tick(well, now_);
    }
  }
  std::string written() const { return std::string(as_text(*files::read_file(device(), 4096))); }

  files::TemporaryFolder folder_;
  Log log_{std::nullopt, false};
  MonotonicMs now_{1'000'000};
};

TEST_F(WatchdogTest, IsFedThreeTimesPerTimeoutWhileAllIsWell) {
  auto watchdog = start();
  run(watchdog, true, 60'000);
  EXPECT_EQ(written().size(), 7U);
  EXPECT_EQ(watchdog.next_deadline(), now_ + 10'000);
}

TEST_F(WatchdogTest, ContainersThatStayDownEndTheFeedingAndAreCounted) {
  auto watchdog = start();
  run(watchdog, false, Watchdog::kPatienceMs);
  EXPECT_TRUE(watchdog.is_feeding());
  run(watchdog, false, 20'000);
  EXPECT_FALSE(watchdog.is_feeding());
  const auto fed = written().size();
  run(watchdog, true, 60'000);
  EXPECT_EQ(written().size(), fed);
  EXPECT_EQ(as_text(*files::read_file(count(), 16)), "1");
}

TEST_F(WatchdogTest, AShortTimeDownDoesNotCount) {
  auto watchdog = start();
  for (int i = 0; i < 5; ++i) {
    run(watchdog, false, Watchdog::kPatienceMs - 20'000);
    run(watchdog, true, 20'000);
  }
  EXPECT_TRUE(watchdog.is_feeding());
}

TEST_F(WatchdogTest, ALoopOfBootsComesToAnEnd) {
  for (std::uint32_t boot = 0; boot < limits::kWatchdogBootsMax; ++boot) {
    auto watchdog = start();
    EXPECT_EQ(watchdog.boots(), boot);
    run(watchdog, false, Watchdog::kPatienceMs + 20'000);
    EXPECT_FALSE(watchdog.is_feeding());
  }
  auto watchdog = start();
  run(watchdog, false, 10 * Watchdog::kPatienceMs);
  EXPECT_TRUE(watchdog.is_feeding());
  run(watchdog, true, Watchdog::kPatienceMs + 20'000);
  EXPECT_EQ(watchdog.boots(), 0U);
  EXPECT_FALSE(std::filesystem::exists(count()));
}

TEST_F(WatchdogTest, AnEndThatWasAskedForSwitchesItOff) {
  {
    auto watchdog = start();
    watchdog.stop();
  }
  EXPECT_EQ(written().back(), 'V');
  {
    auto watchdog = start();
    run(watchdog, true, 20'000);
  }
  EXPECT_NE(written().back(), 'V');
}

TEST_F(WatchdogTest, AMissingDeviceIsAnErrorOfTheConfiguration) {
  const auto started = Watchdog::start({folder_.path() + "/none", 30, "", 0, count(), &log_}, now_);
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, Code::not_found);
}

TEST_F(WatchdogTest, WithoutAWatchdogThereIsNothingToDo) {
  auto watchdog = std::move(*Watchdog::start({"", 30, "", 0, count(), &log_}, now_));
  run(watchdog, false, 10 * Watchdog::kPatienceMs);
  EXPECT_EQ(watchdog.next_deadline(), std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(count()));
}

TEST_F(WatchdogTest, SystemdIsNotifiedByADatagram) {
  const std::string path = folder_.path() + "/notify";
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  auto watchdog = std::move(*Watchdog::start({"", 0, path, 30'000'000, count(), &log_}, now_));
  run(watchdog, true, 10'000);
  for (int i = 0; i < 2; ++i) {
    char text[32] = {};
    ASSERT_EQ(::recv(fd, text, sizeof text, MSG_DONTWAIT), 10);
    EXPECT_STREQ(text, "WATCHDOG=1");
  }
  ::close(fd);
}

}  // namespace
}  // namespace instar::device
