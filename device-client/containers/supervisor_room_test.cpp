// What the supervisor does where the disk is full, and with what another name of the device has left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "device-client/containers/run_record.hpp"
#include "device-client/testing/supervisor_fixture.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SupervisorRoomTest : public SupervisorFixture {
 protected:
  std::string upper(std::uint32_t revision) {
    return folder / ("revisions/" + std::to_string(revision) + "/containers/a/upper");
  }
};

TEST_F(SupervisorRoomTest, AClearedLayerIsThatOfAStoppedContainer) {
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1), container("b", 2)}))});
  work();
  std::ofstream(upper(1) + "/filled") << "much";
  const int kept = helper.pid("d.b");
  helper.take_calls();
  supervisor->clear_layer("d.a");
  work(0);
  EXPECT_THAT(helper.take_calls(), ElementsAre("state d.a d.b", "stop d.a", "start d.a -- /bin/a an argument"));
  EXPECT_TRUE(helper.runs("d.a"));
  EXPECT_EQ(helper.pid("d.b"), kept) << "another container notices nothing";
  EXPECT_TRUE(std::filesystem::is_empty(upper(1)));
  EXPECT_TRUE(files::exists(folder / "trash/layer-1-a/upper/filled")) << "the stager empties the trash";
}

TEST_F(SupervisorRoomTest, KnowsTheLayersOfWhatRuns) {
  EXPECT_THAT(supervisor->layers(), IsEmpty());
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  work();
  supervisor->start_try({1, 2, staged(2, manifest({container("a", 1)}))});
  work();
  const auto layers = supervisor->layers();
  ASSERT_EQ(layers.size(), 1U);
  EXPECT_EQ(layers[0].container, "a");
  EXPECT_EQ(layers[0].folder + "/upper", upper(1)) << "it did not change, and runs on";
}

TEST_F(SupervisorRoomTest, OnAFullDiskRoomIsMadeWhenTheOldContainersHaveStopped) {
  std::vector<std::string> before_room;
  bool is_full = false;
  supervisor = std::make_unique<Supervisor>(SupervisorOptions{config,
                                                              {},
                                                              helper.path(),
                                                              &log,
                                                              [&] { return is_full; },
                                                              [&] {
                                                                before_room = helper.take_calls();
                                                                return true;
                                                              }});
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  work();
  EXPECT_THAT(before_room, IsEmpty()) << "there is room";
  helper.take_calls();
  is_full = true;
  supervisor->start_try({1, 2, staged(2, manifest({container("a", 2)}))});
  only<revision::TryStarted>(work());
  EXPECT_THAT(before_room, ElementsAre("state d.a", "stop d.a"));
  EXPECT_THAT(helper.take_calls(), ElementsAre("start d.a -- /bin/a an argument"));
  EXPECT_EQ(read_run_record(folder / "lxc/d.a")->revision, 2U);
}

class SupervisorReserveTest : public SupervisorRoomTest {
 protected:
  // Each start fails for want of room until that many parts of the reserve are freed.
  void needs(int parts) {
    supervisor = std::make_unique<Supervisor>(SupervisorOptions{config,
                                                                {},
                                                                helper.path(),
                                                                &log,
                                                                [] { return true; },
                                                                [this, parts] {
                                                                  if (reserve == 0) return false;
                                                                  --reserve;
                                                                  if (++freed == parts) helper.heal("start", "d.a");
                                                                  return true;
                                                                }});
    helper.fail("start", "d.a", "No space left on device - Failed to create directory");
  }
  int reserve = 8;
  int freed = 0;
};

TEST_F(SupervisorReserveTest, AStartThatFindsNoRoomIsTriedAgainWithMore) {
  needs(3);
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  only<revision::TryStarted>(work());
  EXPECT_TRUE(helper.runs("d.a"));
  EXPECT_EQ(freed, 3);
}

TEST_F(SupervisorReserveTest, WhatRanBeforeTakesRoomOnlyWhenItMissesSome) {
  const auto first = staged(1, manifest({container("a", 1)}));
  needs(1);
  helper.heal("start", "d.a");
  supervisor->ensure_running({1, first});
  work(0);
  EXPECT_TRUE(helper.runs("d.a"));
  EXPECT_EQ(freed, 0);
  helper.kill_container("d.a");
  work();
  helper.fail("start", "d.a", "No space left on device");
  supervisor->ensure_running({1, first});
  work(0);
  EXPECT_TRUE(helper.runs("d.a"));
  EXPECT_EQ(freed, 1);
}

TEST_F(SupervisorReserveTest, AStartThatFindsNoRoomWhenNoneIsLeftFailsForThat) {
  needs(100);
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  const auto failed = only<revision::TryFailed>(work());
  EXPECT_EQ(failed.error.code, Code::no_space);
  EXPECT_EQ(reserve, 0);
}

TEST_F(SupervisorReserveTest, AStartThatFailsForAnotherReasonTakesNoRoom) {
  needs(100);
  helper.fail("start", "d.a", "no such program");
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  EXPECT_EQ(only<revision::TryFailed>(work()).error.code, Code::io);
  EXPECT_EQ(freed, 1) << "what a first start gets before";
}

TEST_F(SupervisorRoomTest, WhatIsInPlaceIsNotWrittenAgain) {
  const auto first = staged(1, manifest({container("a", 1)}));
  supervisor->start_try({0, 1, first});
  work();
  helper.kill_container("d.a");
  std::filesystem::remove(folder / "lxc/d.a/volumes.next");  // instar-lxc moves it, the fake one does not
  std::ofstream(folder / "lxc/d.a/volumes") << "";
  const auto written = std::filesystem::last_write_time(folder / "lxc/d.a/config");
  restart_daemon();
  supervisor->ensure_running({1, first});
  work(0);
  EXPECT_TRUE(helper.runs("d.a"));
  EXPECT_EQ(std::filesystem::last_write_time(folder / "lxc/d.a/config"), written);
  EXPECT_FALSE(files::exists(folder / "lxc/d.a/config.next"));
}

TEST_F(SupervisorRoomTest, ContainersOfAFormerNameAreStoppedAndTheirContentRunsOn) {
  const auto first = staged(1, manifest({container("a", 1)}));
  supervisor->start_try({0, 1, first});
  work();
  helper.take_calls();
  config.device_id = DeviceId::parse("renamed").value();
  restart_daemon();
  supervisor->ensure_running({1, first});
  work(0);
  EXPECT_THAT(helper.take_calls(), ElementsAre("state d.a", "stop d.a", "start renamed.a -- /bin/a an argument"));
  EXPECT_FALSE(helper.runs("d.a"));
  EXPECT_TRUE(helper.runs("renamed.a"));
  EXPECT_THAT(supervisor->revisions_in_use(), ElementsAre(1U));
  EXPECT_FALSE(files::exists(folder / "lxc/d.a"));
}

}  // namespace
}  // namespace instar::device
