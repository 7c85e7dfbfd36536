#include "device-client/containers/client_slots.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "device-client/testing/filled.hpp"
#include "device-client/testing/killed_at_call.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using ::testing::HasSubstr;

class ClientSlotsTest : public ::testing::Test {
 protected:
  // Makes a release's tree with a client in it.
  std::string tree(const std::string& name) {
    std::filesystem::create_directories(folder / (name + "/folder"));
    for (const char* file : {"/instar-device", "/instar-lxc"}) {
      std::ofstream(folder / (name + file)) << "#!/bin/sh\n";
      ::chmod((folder / (name + file)).c_str(), 0755);
    }
    return folder / name;
  }
  void put(std::uint8_t artifact) {
    ASSERT_TRUE(slots.put(tree("tree" + std::to_string(artifact)), filled<ArtifactId>(artifact)).has_value());
  }

  files::TemporaryFolder folder;
  ClientSlots slots{folder.path()};
};

TEST_F(ClientSlotsTest, WithoutAReleaseOfItsOwnTheSystemsRuns) {
  const auto choice = slots.choose();
  EXPECT_FALSE(choice.artifact.has_value());
  EXPECT_EQ(choice.given_up, "");
  EXPECT_FALSE(std::filesystem::exists(folder / "client")) << "nothing is written";
}

TEST_F(ClientSlotsTest, ATrialIsStartedThreeTimesUnlessItLasts) {
  put(1);
  ASSERT_TRUE(slots.try_out(filled<ArtifactId>(1)).has_value());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(slots.choose().artifact, filled<ArtifactId>(1));
  slots.lasted();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(slots.choose().artifact, filled<ArtifactId>(1));
  const auto choice = slots.choose();
  EXPECT_FALSE(choice.artifact.has_value());
  EXPECT_THAT(choice.given_up, HasSubstr("was started 3 times in a row and did not last"));
  EXPECT_EQ(slots.trying(), filled<ArtifactId>(1)) << "until the release is taken back";
}

TEST_F(ClientSlotsTest, AfterATrialTheOneBeforeRuns) {
  put(1);
  ASSERT_TRUE(slots.keep(filled<ArtifactId>(1)).has_value());
  put(2);
  ASSERT_TRUE(slots.try_out(filled<ArtifactId>(2)).has_value());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(slots.choose().artifact, filled<ArtifactId>(2));
  for (int i = 0; i < 9; ++i) EXPECT_EQ(slots.choose().artifact, filled<ArtifactId>(1)) << "that one is not on trial";
  ASSERT_TRUE(slots.end_trial().has_value());
  EXPECT_EQ(slots.choose().given_up, "");
}

TEST_F(ClientSlotsTest, ACommittedOneThatDoesNotLastMakesWayForTheSystems) {
  put(1);
  ASSERT_TRUE(slots.keep(filled<ArtifactId>(1)).has_value());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(slots.choose().artifact, filled<ArtifactId>(1));
  EXPECT_FALSE(slots.choose().artifact.has_value());
  EXPECT_THAT(slots.choose().given_up, HasSubstr("5 times in a row"));
  slots.lasted();
  EXPECT_EQ(slots.choose().artifact, filled<ArtifactId>(1));
}

TEST_F(ClientSlotsTest, WhatIsKeptOutlivesItsTreeAndTheOthersGo) {
  put(1);
  put(2);
  ASSERT_TRUE(slots.keep(filled<ArtifactId>(2)).has_value());
  std::filesystem::remove_all(folder / "tree2");
  EXPECT_EQ(slots.choose().artifact, filled<ArtifactId>(2));
  EXPECT_TRUE(std::filesystem::exists(folder / ("client/" + filled<ArtifactId>(2).hex() + "/instar-lxc")));
  EXPECT_FALSE(std::filesystem::exists(folder / ("client/" + filled<ArtifactId>(1).hex())));
  ASSERT_TRUE(slots.keep(std::nullopt).has_value());
  EXPECT_FALSE(slots.choose().artifact.has_value());
  EXPECT_FALSE(slots.current().has_value());
}

TEST_F(ClientSlotsTest, ATrialThatEndsLeavesNothing) {
  put(1);
  ASSERT_TRUE(slots.try_out(filled<ArtifactId>(1)).has_value());
  ASSERT_TRUE(slots.end_trial().has_value());
  EXPECT_FALSE(std::filesystem::exists(slots.program(filled<ArtifactId>(1))));
  put(2);
  ASSERT_TRUE(slots.end_trial().has_value());
  EXPECT_FALSE(std::filesystem::exists(slots.program(filled<ArtifactId>(2))))
      << "one that was cut off before its trial";
}

TEST_F(ClientSlotsTest, AProgramThatIsGoneIsNotRun) {
  put(1);
  ASSERT_TRUE(slots.keep(filled<ArtifactId>(1)).has_value());
  std::filesystem::remove(slots.program(filled<ArtifactId>(1)));
  const auto choice = slots.choose();
  EXPECT_FALSE(choice.artifact.has_value());
  EXPECT_THAT(choice.given_up, HasSubstr("cannot be run"));
}

TEST_F(ClientSlotsTest, ATreeWithoutAClientIsNone) {
  std::filesystem::create_directories(folder / "empty");
  const auto put = slots.put(folder / "empty", filled<ArtifactId>(1));
  ASSERT_FALSE(put.has_value());
  EXPECT_THAT(put.error().message, HasSubstr("no program instar-device at the top of its tree"));
}

// --- a kill between any two system calls ----------------------------------------------------------------------
// A step is repeated until its record says that it is done (host_payload.hpp).
class KilledClientSlots : public ClientSlotsTest {
 protected:
  // Begins with client 1 committed. `work` leaves client `after` when it comes to its end. When it is killed anywhere,
  // one of the two clients can be run, and doing the work once more leaves `after`.
  template <typename Prepare, typename Work>
  void expect_whole(std::uint8_t after, Prepare prepare, Work work) {
    const auto first = tree("tree1");
    tree("tree2");
    int call = 0;
    for (bool ended = false; !ended; ++call) {
      SCOPED_TRACE("killed at call " + std::to_string(call));
      ASSERT_LT(call, 500);
      std::filesystem::remove_all(folder / "client");
      ASSERT_TRUE(slots.put(first, filled<ArtifactId>(1)) && slots.keep(filled<ArtifactId>(1)));
      prepare();
      ended = ends_before_call(call, work);
      const auto choice = slots.choose();
      ASSERT_TRUE(choice.artifact == filled<ArtifactId>(1) || choice.artifact == filled<ArtifactId>(2))
          << choice.given_up;
      EXPECT_EQ(::access(choice.program.c_str(), X_OK), 0);
      work();
      EXPECT_EQ(slots.current(), filled<ArtifactId>(after));
      EXPECT_FALSE(slots.trying().has_value());
      EXPECT_EQ(slots.choose().artifact, filled<ArtifactId>(after));
      for (const auto one : {std::uint8_t{1}, std::uint8_t{2}})
        EXPECT_EQ(std::filesystem::exists(slots.program(filled<ArtifactId>(one))), one == after);
    }
    EXPECT_GT(call, 20) << "calls were counted";
  }
};

TEST_F(KilledClientSlots, AnotherClientIsTriedAndKept) {
  expect_whole(
      2, [] {},
      [this] {
        static_cast<void>(slots.put(folder / "tree2", filled<ArtifactId>(2)));
        static_cast<void>(slots.try_out(filled<ArtifactId>(2)));
        static_cast<void>(slots.choose());
        static_cast<void>(slots.keep(filled<ArtifactId>(2)));
      });
}

TEST_F(KilledClientSlots, AnotherClientIsTakenBack) {
  expect_whole(
      1,
      [this] {
        ASSERT_TRUE(slots.put(folder / "tree2", filled<ArtifactId>(2)));
        ASSERT_TRUE(slots.try_out(filled<ArtifactId>(2)));
      },
      [this] { static_cast<void>(slots.end_trial()); });
}

}  // namespace
}  // namespace instar::device
