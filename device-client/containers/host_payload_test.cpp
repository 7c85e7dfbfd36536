#include "device-client/containers/host_payload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "device-client/testing/filled.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

PayloadPlan payload_plan(const std::string& name, std::uint8_t artifact, const std::string& kind = "kernel") {
  return {name, kind, 1, filled<ArtifactId>(artifact), "/tree", 0};
}

PayloadRecord record(const std::string& name, std::uint8_t artifact, PayloadState state) {
  return {name, "kernel", filled<ArtifactId>(artifact), 5, state};
}

// "install boot", …
std::vector<std::string> names(const std::vector<PayloadStep>& steps) {
  std::vector<std::string> out;
  for (const auto& [action, of] : steps)
    out.push_back(std::string(action_name(action)) + " " + of.name + (of.tree.empty() ? " to nothing" : ""));
  return out;
}

constexpr auto kInstalling = PayloadState::installing;
constexpr auto kInstalled = PayloadState::installed;
constexpr auto kCommitted = PayloadState::committed;

TEST(HostPayload, WhatIsNewIsInstalled) {
  EXPECT_THAT(names(steps_to_try({}, {payload_plan("boot", 1)})), ElementsAre("install boot"));
  EXPECT_THAT(names(steps_to_try({record("boot", 1, kCommitted)}, {payload_plan("boot", 1)})), IsEmpty());
  EXPECT_THAT(names(steps_to_try({record("boot", 1, kInstalled)}, {payload_plan("boot", 1)})), IsEmpty())
      << "done before the client was killed";
  EXPECT_THAT(names(steps_to_try({record("boot", 1, kInstalling)}, {payload_plan("boot", 1)})),
              ElementsAre("install boot"))
      << "not known to be done";
  EXPECT_THAT(names(steps_to_try({record("boot", 1, kCommitted)}, {payload_plan("boot", 2)})),
              ElementsAre("install boot"));
  EXPECT_THAT(names(steps_to_try({record("boot", 1, kCommitted)}, {payload_plan("boot", 1, "other")})),
              ElementsAre("install boot"));
}

TEST(HostPayload, WhatDiffersIsTakenBack) {
  EXPECT_THAT(names(steps_back({record("boot", 2, kInstalled)}, {payload_plan("boot", 1)}, 4)),
              ElementsAre("rollback boot"));
  EXPECT_THAT(names(steps_back({record("boot", 2, kInstalling)}, {payload_plan("boot", 1)}, 4)),
              ElementsAre("rollback boot"));
  EXPECT_THAT(names(steps_back({record("boot", 2, kCommitted)}, {payload_plan("boot", 1)}, 4)),
              ElementsAre("rollback boot"))
      << "a release taken back later";
  EXPECT_THAT(names(steps_back({record("boot", 1, kCommitted)}, {payload_plan("boot", 1)}, 4)), IsEmpty());
  EXPECT_THAT(names(steps_back({record("boot", 2, kInstalling)}, {}, 4)), ElementsAre("rollback boot to nothing"));
  EXPECT_THAT(names(steps_back({record("boot", 1, kCommitted)}, {}, 4)), ElementsAre("rollback boot to nothing"))
      << "brought by a later revision";
  EXPECT_THAT(names(steps_back({record("boot", 1, kCommitted)}, {}, 6)), IsEmpty()) << "of an earlier one: it stays";
}

TEST(HostPayload, WhatWasTriedIsKeptAndWhatIsNotThereIsInstalled) {
  EXPECT_THAT(names(steps_to_keep({record("boot", 1, kInstalled)}, {payload_plan("boot", 1)})),
              ElementsAre("commit boot"));
  EXPECT_THAT(names(steps_to_keep({record("boot", 1, kCommitted)}, {payload_plan("boot", 1)})), IsEmpty());
  EXPECT_THAT(names(steps_to_keep({}, {payload_plan("boot", 1)})), ElementsAre("install boot", "commit boot"));
  EXPECT_THAT(names(steps_to_keep({record("boot", 2, kCommitted)}, {payload_plan("boot", 1)})),
              ElementsAre("install boot", "commit boot"));
}

TEST(HostPayload, RecordsComeBackAsTheyWereWritten) {
  const files::TemporaryFolder folder;
  EXPECT_THAT(read_payload_records(folder.path()), IsEmpty());
  ASSERT_TRUE(write_payload_record(folder.path(), record("modem", 3, kInstalled)).has_value());
  ASSERT_TRUE(write_payload_record(folder.path(), record("boot", 1, kInstalling)).has_value());
  ASSERT_TRUE(write_payload_record(folder.path(), record("boot", 1, kCommitted)).has_value());
  const auto records = read_payload_records(folder.path());
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].name, "boot");
  EXPECT_EQ(records[0].state, kCommitted);
  EXPECT_EQ(records[1].artifact, filled<ArtifactId>(3));
  std::ofstream(folder / "handlers/boot/record") << "{\"kind\":\"ker";
  EXPECT_EQ(read_payload_records(folder.path()).size(), 1U) << "what cannot be read is not known";
  ASSERT_TRUE(remove_payload_record(folder.path(), "modem").has_value());
  EXPECT_THAT(read_payload_records(folder.path()), IsEmpty());
}

TEST(HostPayload, HandlersAreTheProgramsOfOneFolder) {
  const files::TemporaryFolder folder;
  Config config;
  config.handlers_dir = folder / "handlers";
  EXPECT_THAT(find_handlers(config), IsEmpty());
  std::filesystem::create_directories(folder / "handlers/folder");
  for (const char* name : {"modem", "kernel", "notes", "instar-client", "white space"}) {
    std::ofstream(config.handlers_dir + "/" + name) << "#!/bin/sh\n";
    ::chmod((config.handlers_dir + "/" + name).c_str(), std::string_view(name) == "notes" ? 0644 : 0755);
  }
  EXPECT_THAT(find_handlers(config), ElementsAre("kernel", "modem"));
  config.self_update = true;
  EXPECT_THAT(find_handlers(config), ElementsAre("kernel", "modem", "instar-client"));
}

TEST(HostPayload, PlansAreInStartOrder) {
  Config config;
  config.state_dir = "/s";
  wire::Manifest manifest;
  manifest.containers.resize(3);
  manifest.containers[0].name = "modem";
  manifest.containers[0].handler = "modem";
  manifest.containers[0].start_order = 2;
  manifest.containers[1].name = "app";
  manifest.containers[2].name = "boot";
  manifest.containers[2].handler = "kernel";
  const auto plans = plan_payloads(config, 7, manifest);
  ASSERT_EQ(plans.size(), 2U);
  EXPECT_EQ(plans[0].name, "boot");
  EXPECT_EQ(plans[1].tree, "/s/revisions/7/artifacts/" + ArtifactId{}.hex() + "/tree");
}

}  // namespace
}  // namespace instar::device
