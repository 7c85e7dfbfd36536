#include "publisher/broker/next_release.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::publisher {
namespace {

using ::testing::HasSubstr;

KnownDevice runs(const std::string& release, std::uint64_t sequence) {
  KnownDevice known;
  known.description.product = "press";
  known.description.running = wire::RevisionInfo{"press", release, sequence, {}, {}};
  known.description.highest_sequence = sequence;
  return known;
}

RolloutStatus offered(const std::string& release, std::uint64_t sequence, const std::string& group,
                      const std::string& product = "press") {
  RolloutStatus status;
  status.product = product;
  status.release = release;
  status.sequence = sequence;
  status.groups = {group};
  status.state = "active";
  return status;
}

const std::vector<GroupPath> kStable = {GroupPath::parse("test/stable").value()};

TEST(NextRelease, AnOlderOneIsNeverTakenAndSaysSo) {
  const auto next = next_release(runs("beta-1", 2), kStable,
                                 {offered("stable-1", 1, "test/stable"), offered("beta-1", 2, "test/beta")});
  EXPECT_EQ(next.release, "stable-1");
  EXPECT_FALSE(next.is_taken);
  EXPECT_THAT(next.text, HasSubstr("stays with beta-1: stable-1 (sequence 1) of these groups is not newer"));
  EXPECT_THAT(next.text, HasSubstr("(sequence 2); publish that content again"));
}

TEST(NextRelease, ANewerOneIsTaken) {
  const auto next =
      next_release(runs("1.0", 1), kStable, {offered("2.0", 2, "test/stable"), offered("1.5", 1, "test")});
  EXPECT_TRUE(next.is_taken);
  EXPECT_THAT(next.text, HasSubstr("it takes 2.0 (sequence 2)"));
}

TEST(NextRelease, TheReleaseOfAParentCounts) {
  EXPECT_EQ(next_release(runs("1.0", 1), kStable, {offered("2.0", 2, "test")}).release, "2.0");
}

TEST(NextRelease, WhatRunsIsThere) {
  const auto next = next_release(runs("1.0", 1), kStable, {offered("1.0", 1, "test/stable")});
  EXPECT_TRUE(next.is_taken);
  EXPECT_THAT(next.text, HasSubstr("it runs 1.0"));
}

TEST(NextRelease, NothingIsOutForTheseGroups) {
  auto aborted = offered("3.0", 3, "test/stable");
  aborted.state = "aborted";
  const auto next = next_release(runs("1.0", 1), kStable,
                                 {aborted, offered("2.0", 2, "test/stable", "saw"), offered("2.0", 2, "test/other")});
  EXPECT_EQ(next.release, "");
  EXPECT_THAT(next.text, HasSubstr("no release of product press is out for these groups: it stays with 1.0"));
}

TEST(NextRelease, APausedRolloutIsNamedAsOne) {
  auto paused = offered("2.0", 2, "test/stable");
  paused.state = "paused";
  EXPECT_THAT(next_release(runs("1.0", 1), kStable, {paused}).text, HasSubstr("whose rollout is paused"));
}

}  // namespace
}  // namespace instar::publisher
