#include "core/revision/window_control.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <tuple>

#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

// A link with a broker at its other end, which sends whatever the window lets it, in whole pieces.
struct Link {
  std::int64_t round_trip_ms = 600;
  std::int64_t bytes_per_s = 8'000;
  WindowControl window{256 * 1024, 32 * 1024};
  MonotonicMs now{1'000};
  std::int64_t free_at = 0;       // when the link has sent all that it has
  std::int64_t idle_ms = 0;       // in which it had nothing
  std::int64_t queue_ms_max = 0;  // that a message would have waited before it, at most

  void pause(std::int64_t ms) {
    now = now + ms;
    free_at = 0;
  }

  // One session of so many bytes.
  void bring(std::uint64_t bytes) {
    struct Piece {
      std::int64_t there;
      std::uint32_t bytes;
    };
    std::deque<Piece> on_the_way;
    std::uint64_t sent = 0;
    std::uint64_t taken = 0;
    std::uint64_t credited = 0;
    std::uint64_t known = 0;
    std::uint32_t granted = window.bytes();
    const std::uint64_t first_window = granted;
    std::uint32_t answered = granted;  // the window that the last credit named
    std::uint32_t piece = window.piece_bytes();
    std::int64_t broker_at = now.value + round_trip_ms / 2;
    std::deque<std::tuple<std::int64_t, std::uint64_t, std::uint32_t, std::uint32_t>> credits;
    window.asked(now);
    while (taken < bytes) {
      while (sent < bytes && sent - known + std::min<std::uint64_t>(piece, bytes - sent) <= granted) {
        const auto size = static_cast<std::uint32_t>(std::min<std::uint64_t>(piece, bytes - sent));
        if (free_at != 0 && broker_at > free_at) idle_ms += broker_at - free_at;
        // The first window of a session comes at once.
        if (sent >= first_window) queue_ms_max = std::max(queue_ms_max, free_at - broker_at);
        free_at = std::max(free_at, broker_at) + size * 1'000 / bytes_per_s;
        on_the_way.push_back({free_at + round_trip_ms / 2, size});
        sent += size;
      }
      const bool credit_first =
          !credits.empty() && (on_the_way.empty() || std::get<0>(credits.front()) <= on_the_way.front().there);
      if (credit_first) {
        std::tie(broker_at, known, granted, piece) = credits.front();
        credits.pop_front();
        continue;
      }
      ASSERT_FALSE(on_the_way.empty()) << "nothing moves";
      now = MonotonicMs{on_the_way.front().there};
      taken += on_the_way.front().bytes;
      window.arrived(on_the_way.front().bytes, now);
      on_the_way.pop_front();
      if (taken - credited < std::min(window.step_bytes(), answered / 2)) continue;
      credited = taken;
      answered = window.bytes();
      credits.emplace_back(now.value + round_trip_ms / 2, taken, window.bytes(), window.piece_bytes());
    }
    window.paused(now);
  }
};

TEST(WindowControl, FillsEachLinkWithoutALongLineBeforeIt) {
  for (const std::int64_t kbit : {10, 64, 256, 1'000}) {
    for (const std::int64_t round_trip_ms : {20, 600, 2'000}) {
      Link link;
      link.bytes_per_s = kbit * 125;
      link.round_trip_ms = round_trip_ms;
      link.bring(4'000);  // a head
      link.pause(100);
      link.bring(static_cast<std::uint64_t>(link.bytes_per_s) * 30);
      const auto name = std::to_string(kbit) + " kbit/s, " + std::to_string(round_trip_ms) + " ms";
      link.pause(100);
      link.idle_ms = link.queue_ms_max = 0;
      link.bring(static_cast<std::uint64_t>(link.bytes_per_s) * 60);
      EXPECT_LE(link.idle_ms, kbit < 1'000 ? 600 : 3'000) << "of 60 s: " << name;
      const auto piece_ms = link.window.piece_bytes() * 1'000 / link.bytes_per_s;
      EXPECT_LE(link.queue_ms_max, std::max<std::int64_t>(2 * piece_ms, 500)) << name;
      EXPECT_LE(piece_ms, kbit < 60 ? 2'500 : 500) << name;
    }
  }
}

TEST(WindowControl, KnowsALinkByTheFirstSmallPieces) {
  Link link;
  link.bring(6'000);
  EXPECT_NEAR(link.window.rate(), 8'000, 800);
  EXPECT_NEAR(link.window.round_trip_ms(), 600, 60);
}

TEST(WindowControl, KeepsWhatItKnowsFromOneSessionToTheNext) {
  Link link;
  link.bring(200'000);
  const auto bytes = link.window.bytes();
  link.window.asked_earlier(link.now);
  EXPECT_EQ(link.window.bytes(), bytes);
  const auto round_trip_ms = link.window.round_trip_ms();
  link.now = link.now + 1;
  link.window.arrived(1'000, link.now);
  for (int i = 0; i < 20; ++i) link.window.arrived(1'000, link.now = link.now + 125);
  EXPECT_EQ(link.window.round_trip_ms(), round_trip_ms) << "when that was asked for is not known";
}

TEST(WindowControl, FollowsALinkThatIsAnotherOne) {
  Link link;
  link.bytes_per_s = 100'000;
  link.bring(2'000'000);
  EXPECT_GT(link.window.bytes(), 60'000U);
  link.bytes_per_s = 8'000;
  link.bring(700'000);
  EXPECT_NEAR(link.window.rate(), 8'000, 1'000);
  EXPECT_LT(link.window.bytes(), 15'000U);
  link.bytes_per_s = 100'000;
  link.bring(2'000'000);
  EXPECT_NEAR(link.window.rate(), 100'000, 20'000);
}

TEST(WindowControl, FindsOutThatTheWayHasBecomeLonger) {
  Link link;
  link.bytes_per_s = 32'000;
  link.round_trip_ms = 50;
  link.bring(400'000);
  const auto before = link.window.bytes();
  link.round_trip_ms = 1'000;
  link.window.asked_earlier(link.now);
  for (int i = 0; i < 400; ++i) {
    // Its window, and then nothing for the rest of the way.
    const auto piece = link.window.piece_bytes();
    const auto window_ms = std::max<std::int64_t>(link.window.bytes() * 1'000 / link.bytes_per_s, 1'000);
    const auto end = link.now + window_ms;
    for (std::uint32_t come = 0; come < link.window.bytes(); come += piece)
      link.window.arrived(piece, link.now = link.now + piece * 1'000 / link.bytes_per_s);
    link.now = std::max(link.now, end);
  }
  EXPECT_GT(link.window.bytes(), 25'000U) << "nearly what the link holds now";
  EXPECT_LT(before, 16'000U);
  EXPECT_LE(link.window.bytes(), 32'000U * 4) << "and no more than a bound";
}

TEST(WindowControl, ABurstAfterAPauseOfTheDeviceIsNoFastLink) {
  Link link;
  link.bring(200'000);
  const auto before = link.window.bytes();
  link.now = link.now + 3'000;
  for (std::uint32_t come = 0; come < 2 * before; come += 1'000) link.window.arrived(1'000, link.now);
  EXPECT_LT(link.window.bytes(), before + before / 2);
}

TEST(WindowControl, HasTheLargestWindowOnAFastLink) {
  Link link;
  link.bytes_per_s = 10'000'000;
  link.round_trip_ms = 2;
  link.bring(2'000'000);
  EXPECT_EQ(link.window.bytes(), 256U * 1024);
  EXPECT_EQ(link.window.piece_bytes(), 32U * 1024);
}

TEST(WindowControl, ShrinksWithEachStallButNotToNothing) {
  WindowControl window(256 * 1024, 32 * 1024);
  for (int i = 0; i < 10; ++i) window.stalled();
  EXPECT_EQ(window.bytes(), limits::kFetchWindowBytesMin);
}

TEST(WindowControl, KeepsWithinTheLimitsOfTheSystem) {
  EXPECT_LE(WindowControl(0xffff'ffff, 0xffff'ffff).bytes(), limits::kWindowBytesMax);
  EXPECT_EQ(WindowControl(1, 1).bytes(), limits::kFetchWindowBytesMin);
  EXPECT_EQ(WindowControl(1, 1).piece_bytes(), limits::kPieceBytesMin);
}

}  // namespace
}  // namespace instar::revision
