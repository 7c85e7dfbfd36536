#include "device-client/containers/client_payload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ClientPayloadTest : public ::testing::Test {
 protected:
  ClientPayloadTest() {
    plan.name = "client";
    plan.artifact.bytes.fill(1);
    plan.tree = folder / "tree";
    std::filesystem::create_directories(plan.tree);
  }
  ~ClientPayloadTest() override { ::unsetenv("INSTAR_CLIENT_ARTIFACT"); }
  void put_program() {
    std::ofstream(plan.tree + "/instar-device") << "#!/bin/sh\n";
    ::chmod((plan.tree + "/instar-device").c_str(), 0755);
  }
  // This process is the client that came with the payload.
  void run_it() { ::setenv("INSTAR_CLIENT_ARTIFACT", plan.artifact.hex().c_str(), 1); }
  ClientPayload::Taken take(PayloadAction action) { return payload.take({action, plan}); }

  files::TemporaryFolder folder;
  ClientPayload payload{folder.path()};
  ClientSlots slots{folder.path()};
  PayloadPlan plan;
};

TEST_F(ClientPayloadTest, IsAskedForItsVersionFirst) {
  EXPECT_EQ(payload.prepare(plan).error().code, Code::not_found) << "no program in its tree";
  put_program();
  const auto command = payload.prepare(plan);
  ASSERT_TRUE(command);
  EXPECT_EQ(command->program, slots.program(plan.artifact));
  EXPECT_THAT(command->arguments, ElementsAre("version"));
}

TEST_F(ClientPayloadTest, IsTriedInAnotherProcessAndKeptThere) {
  put_program();
  ASSERT_TRUE(payload.prepare(plan));
  auto taken = take(PayloadAction::install);
  EXPECT_TRUE(taken.done);
  EXPECT_FALSE(taken.runs);
  EXPECT_EQ(slots.trying(), plan.artifact);
  run_it();
  EXPECT_TRUE(take(PayloadAction::install).runs);
  taken = take(PayloadAction::commit);
  EXPECT_TRUE(taken.done && taken.runs);
  EXPECT_EQ(slots.current(), plan.artifact);
  EXPECT_FALSE(slots.trying());
}

TEST_F(ClientPayloadTest, AClientThatDoesNotComeSoFarHasFailed) {
  put_program();
  ASSERT_TRUE(payload.prepare(plan));
  ASSERT_TRUE(take(PayloadAction::install).done);
  const auto again = take(PayloadAction::install);
  ASSERT_FALSE(again.done);
  EXPECT_THAT(again.done.error().message, HasSubstr("did not come so far"));
}

TEST_F(ClientPayloadTest, WhatIsTakenBackLeavesTheClientBefore) {
  put_program();
  ASSERT_TRUE(payload.prepare(plan));
  ASSERT_TRUE(take(PayloadAction::install).done);
  plan.tree.clear();
  const auto trial = take(PayloadAction::rollback);
  EXPECT_TRUE(trial.done);
  EXPECT_TRUE(trial.runs) << "the system's own client runs, and is the one that should";
  EXPECT_FALSE(slots.trying());
}

TEST_F(ClientPayloadTest, ACommittedClientThatIsTakenBackIsReplaced) {
  put_program();
  ASSERT_TRUE(payload.prepare(plan));
  run_it();
  ASSERT_TRUE(take(PayloadAction::commit).done);
  ASSERT_TRUE(write_payload_record(folder.path(), {"client", "client", plan.artifact, 3, PayloadState::committed}));
  plan.tree.clear();
  const auto taken = take(PayloadAction::rollback);
  EXPECT_TRUE(taken.done);
  EXPECT_FALSE(taken.runs) << "the system's own client has to take over";
  EXPECT_FALSE(slots.current());
}

}  // namespace
}  // namespace instar::device
