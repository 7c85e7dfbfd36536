#include "publisher/broker/rollout_outcome.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

RolloutStatus ended(const std::string& state, const std::string& outcome, std::uint64_t committed,
                    std::uint64_t refused) {
  return read_status(
      {{"rollout", "aa11223344556677"},
       {"product", "gateway"},
       {"release", "2.4.1"},
       {"state", state},
       {"outcome", outcome},
       {"devices", committed + refused},
       {"counts", {{"committed", committed}, {"refused", refused}}},
       {"reasons", refused == 0
                       ? Json::array()
                       : Json::array({{{"code", "no_space"}, {"reason", "needs 5 MB"}, {"count", refused}}})}});
}

TEST(RolloutOutcome, AllTookIt) {
  const auto status = ended("complete", "complete", 3, 0);
  EXPECT_EQ(ending_text(status), "rollout aa11223344556677: complete; 3 of 3 devices have committed\n");
  EXPECT_EQ(exit_of(status), Exit::ok);
  EXPECT_THAT(next_commands(status), IsEmpty());
}

TEST(RolloutOutcome, SomeDidNotWithTheReasonAndTheNextCommand) {
  const auto status = ended("complete", "complete with failures", 2, 1);
  EXPECT_EQ(ending_text(status),
            "rollout aa11223344556677: complete with failures; 2 of 3 devices have committed, 1 refused it\n"
            "reason: no_space: needs 5 MB (1 device)\n"
            "next: instar rollout show aa11223344556677 --devices   # which did not take it, and why\n"
            "next: instar rollout retry aa11223344556677   # lets those that failed, or refused, try again\n");
  EXPECT_EQ(exit_of(status), Exit::rollout_failed);
  EXPECT_THAT(rollouts_text({status}, {}), HasSubstr("complete with failures"));
  EXPECT_THAT(rollout_text(status, {}), HasSubstr("complete with failures"));
}

TEST(RolloutOutcome, NobodyTookItIsNoCompleteRollout) {
  const auto status = ended("complete", "nobody took it", 0, 1);
  EXPECT_THAT(ending_text(status), HasSubstr("nobody took it; 0 of 1 device have committed, 1 refused it"));
  EXPECT_THAT(rollout_text(status, {}), Not(HasSubstr("1 of 1")));
  EXPECT_THAT(rollout_text(status, {}), HasSubstr("instar rollout retry"));
  EXPECT_EQ(exit_of(status), Exit::rollout_failed);
  EXPECT_EQ(rollout_line(status), "aa11223344556677 complete (nobody took it) refused=1 devices=1 bytes_sent=0");
}

TEST(RolloutOutcome, ASupersededOneNamesTheOneThatTookOver) {
  auto status = ended("superseded", "superseded", 1, 0);
  status.superseded_by = "bb11223344556677";
  EXPECT_TRUE(status.is_over());
  EXPECT_EQ(exit_of(status), Exit::rollout_failed);
  EXPECT_THAT(ending_text(status), HasSubstr("superseded by rollout bb11223344556677; 1 of 1 device has committed"));
  EXPECT_THAT(next_commands(status),
              ElementsAre("instar rollout show bb11223344556677   # has taken over in its groups"));
}

TEST(RolloutOutcome, OfACompleteOneThatWasReplacedNothingIsTriedAgain) {
  auto status = ended("complete", "complete with failures", 2, 1);
  status.superseded_by = "bb11223344556677";
  EXPECT_THAT(next_commands(status), ElementsAre(HasSubstr("--devices")));
}

TEST(RolloutOutcome, DevicesThatHaveObeyedMoreAreNamed) {
  auto json = Json{{"state", "active"}, {"devices_ahead", {{"devices", 3}, {"highest_sequence", 41}}}};
  EXPECT_THAT(rollout_text(read_status(json), {}), HasSubstr("3 devices of its groups: they have obeyed sequence 41"));
}

}  // namespace
}  // namespace instar::publisher
