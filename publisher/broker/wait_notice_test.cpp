#include "publisher/broker/wait_notice.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace instar::publisher {
namespace {

std::size_t lines(const std::ostringstream& out) {
  const auto text = out.str();
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(WaitNotice, SaysWhatForAfterThreeSecondsAndThenSeldom) {
  std::ostringstream out;
  WaitNotice notice(&out);
  for (int ms = 0; ms < 3'000; ms += 100) notice.waiting("the broker", {ms});
  EXPECT_EQ(out.str(), "");
  notice.waiting("the broker", {3'000});
  EXPECT_EQ(out.str(), "instar: waiting for the broker, for 3 s already\n");
  for (int ms = 3'100; ms < 60'000; ms += 100) notice.waiting("the broker", {ms});
  EXPECT_EQ(lines(out), 5U) << "3, 6, 12, 24, 48: " << out.str();
}

TEST(WaitNotice, WhatComesInTimeIsNotSpokenOf) {
  std::ostringstream out;
  WaitNotice notice(&out);
  for (int ms = 0; ms < 60'000; ms += 100) {
    notice.waiting("an answer", {ms});
    if (ms % 2'000 == 0) notice.over();
  }
  EXPECT_EQ(out.str(), "");
}

TEST(WaitNotice, SomethingElseIsSaidToo) {
  std::ostringstream out;
  WaitNotice notice(&out);
  notice.waiting("a connection", {0});
  notice.waiting("a connection", {3'000});
  notice.waiting("a connection (no route)", {3'100});
  EXPECT_EQ(lines(out), 1U);
  notice.waiting("a connection (no route)", {6'100});
  EXPECT_EQ(out.str().substr(out.str().find('\n') + 1),
            "instar: waiting for a connection (no route), for 6 s already\n");
}

TEST(WaitNotice, WithoutAnOutputIsSilent) {
  WaitNotice notice(nullptr);
  notice.waiting("x", {0});
  notice.waiting("x", {10'000});
  notice.note("y");
}

}  // namespace
}  // namespace instar::publisher
