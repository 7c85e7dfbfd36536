#include "device-client/containers/payload_steps.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr HelperEnd kFine{};

HelperEnd exit_code(int code, const std::string& line = "") {
  HelperEnd end;
  end.exit_code = code;
  end.line = line;
  return end;
}

PayloadStep step(PayloadAction action, const std::string& name, const std::string& tree = "/tree") {
  PayloadStep made{action, {name, "kernel", 3, {}, tree, 0}};
  made.plan.artifact.bytes.fill(1);
  return made;
}

class PayloadStepsTest : public ::testing::Test {
 protected:
  PayloadStepsTest() {
    config.state_dir = folder.path();
    config.handlers_dir = "/handlers";
  }
  PayloadSteps steps(std::vector<PayloadStep> of) { return {config, log, std::move(of)}; }
  std::vector<std::string> records() {
    std::vector<std::string> out;
    for (const auto& record : read_payload_records(config.state_dir)) {
      const char* const states[] = {"installing", "installed", "committed"};
      out.push_back(record.name + " " + states[static_cast<std::size_t>(record.state)]);
    }
    return out;
  }

  files::TemporaryFolder folder;
  Config config;
  Log log{std::nullopt, false};
};

TEST_F(PayloadStepsTest, TheRecordGoesBeforeTheHandlerAndFollowsItsSuccess) {
  auto pending = steps({step(PayloadAction::install, "boot"), step(PayloadAction::commit, "boot")});
  auto answer = pending.next();
  pending.assert_invariants();
  ASSERT_TRUE(answer.run);
  EXPECT_EQ(answer.run->program, "/handlers/kernel");
  EXPECT_THAT(answer.run->arguments, ElementsAre("install"));
  EXPECT_TRUE(pending.is_running());
  EXPECT_THAT(records(), ElementsAre("boot installing"));
  answer = pending.ended(kFine, {1});
  pending.assert_invariants();
  EXPECT_FALSE(answer.run || answer.failure || answer.other_client);
  EXPECT_THAT(records(), ElementsAre("boot installed"));
  EXPECT_THAT(pending.next().run->arguments, ElementsAre("commit"));
  EXPECT_THAT(records(), ElementsAre("boot installed"));
  static_cast<void>(pending.ended(kFine, {2}));
  EXPECT_THAT(records(), ElementsAre("boot committed"));
  EXPECT_TRUE(pending.is_done());
}

TEST_F(PayloadStepsTest, AFailureDropsTheStepsOfThatPayloadAlone) {
  auto pending = steps({step(PayloadAction::install, "boot"), step(PayloadAction::commit, "boot"),
                        step(PayloadAction::commit, "radio")});
  static_cast<void>(pending.next());
  const auto answer = pending.ended(exit_code(3, "no such partition"), {1});
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->payload, "boot");
  EXPECT_EQ(answer.failure->error.code, Code::unhealthy);
  EXPECT_EQ(answer.failure->error.message,
            with_context({Code::unhealthy, "exit code 3: no such partition"}, "handler kernel, install of payload boot")
                .message);
  EXPECT_THAT(records(), ElementsAre("boot installing")) << "it may have done half of it";
  static_cast<void>(pending.next());
  static_cast<void>(pending.ended(kFine, {2}));
  EXPECT_TRUE(pending.is_done());
  pending.assert_invariants();
}

TEST_F(PayloadStepsTest, AHandlerThatCannotBeRunHasFailed) {
  auto pending = steps({step(PayloadAction::commit, "boot")});
  static_cast<void>(pending.next());
  EXPECT_EQ(pending.not_run({Code::not_found, "no such program"}).failure->error.code, Code::not_found);
  EXPECT_TRUE(pending.is_done());
  EXPECT_FALSE(pending.is_running());
}

TEST_F(PayloadStepsTest, APayloadThatIsTakenAwayHasNoRecord) {
  ASSERT_TRUE(write_payload_record(config.state_dir, {"boot", "kernel", {}, 3, PayloadState::installed}));
  auto pending = steps({step(PayloadAction::rollback, "boot", "")});
  static_cast<void>(pending.next());
  static_cast<void>(pending.ended(kFine, {1}));
  EXPECT_THAT(records(), IsEmpty());
}

TEST_F(PayloadStepsTest, ABootIsAskedForAndAwaitedAndTheStepRepeated) {
  config.reboot_command = "boot now";
  auto pending = steps({step(PayloadAction::install, "boot")});
  static_cast<void>(pending.next());
  const auto boot = pending.ended(exit_code(10), {1'000});
  ASSERT_TRUE(boot.run);
  EXPECT_THAT(boot.run->arguments, ElementsAre("-c", "boot now"));
  EXPECT_FALSE(pending.boot_by());
  static_cast<void>(pending.ended(kFine, {2'000}));
  EXPECT_EQ(pending.boot_by(), MonotonicMs{602'000});
  EXPECT_FALSE(pending.is_done()) << "a client that starts after the boot calls the handler again";
  pending.assert_invariants();
  EXPECT_THAT(pending.next().failure->error.message, HasSubstr("the device was to boot, and did not within 600 s"));
}

TEST_F(PayloadStepsTest, ABootThatNobodyCanMakeAndABootThatFailsAreFailures) {
  auto without = steps({step(PayloadAction::install, "boot")});
  static_cast<void>(without.next());
  EXPECT_EQ(without.ended(exit_code(10), {1}).failure->error.code, Code::refused);
  config.reboot_command = "boot now";
  auto failing = steps({step(PayloadAction::install, "boot")});
  static_cast<void>(failing.next());
  static_cast<void>(failing.ended(exit_code(10), {1}));
  EXPECT_THAT(failing.ended(exit_code(1), {2}).failure->error.message, HasSubstr("reboot_command: exit code 1"));
  auto commit = steps({step(PayloadAction::commit, "boot")});
  static_cast<void>(commit.next());
  EXPECT_EQ(commit.ended(exit_code(10), {1}).failure->error.code, Code::unhealthy) << "a commit needs no boot";
}

}  // namespace
}  // namespace instar::device
