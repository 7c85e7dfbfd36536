#include "publisher/broker/rollout_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

constexpr WallMs kNow{1'763'881'282'000};

Json status_json(const std::string& state, std::uint64_t committed, std::uint64_t rolled_back) {
  return {{"format", 1},
          {"rollout", "00112233aabbccdd"},
          {"product", "gateway"},
          {"release", "2.4.1"},
          {"sequence", 7},
          {"groups", {"plant-7"}},
          {"state", state},
          {"devices", 4},
          {"counts", {{"waiting", 1}, {"committed", committed}, {"rolled_back", rolled_back}}},
          {"bytes_sent", 1'234'567},
          {"bytes_full", 9'876'543},
          {"started_ms", kNow.value - 60'000},
          {"updated_ms", kNow.value},
          {"reasons", Json::array({{{"code", "unhealthy"}, {"reason", "probe exited 1"}, {"count", 1}}})}};
}

TEST(RolloutStatus, ReadsEveryField) {
  const auto status = read_status(status_json("active", 2, 1));
  EXPECT_EQ(status.rollout, "00112233aabbccdd");
  EXPECT_EQ(status.sequence, 7U);
  EXPECT_EQ(status.count("waiting"), 1U);
  EXPECT_EQ(status.count("committed"), 2U);
  EXPECT_EQ(status.count("no such step"), 0U);
  EXPECT_EQ(status.finished(), 3U);
  EXPECT_EQ(status.unsuccessful(), 1U);
  EXPECT_FALSE(status.is_over());
  ASSERT_EQ(status.reasons.size(), 1U);
  EXPECT_EQ(status.reasons[0].code, "unhealthy");
}

TEST(RolloutStatus, SaysHowToApprove) {
  auto status = read_status(status_json("active", 2, 0));
  status.waits_for = "an operator's approval";
  ASSERT_EQ(next_commands(status).size(), 1U);
  EXPECT_EQ(next_commands(status)[0], "instar rollout approve 00112233aabbccdd   # opens wave 2");
  status.waits_for = "an operator's signed approval";
  EXPECT_EQ(next_commands(status)[0], "instar rollout approve 00112233aabbccdd --key FILE   # opens wave 2");
}

TEST(RolloutStatus, AcceptsAnyJson) {
  for (const auto* text :
       {"{}", "[]", "null", "7",
        R"({"counts": 3, "groups": "x", "devices": -1, "reasons": [1, null], "started_ms": 1e300})"}) {
    const auto status = read_status(*parse_json(text, "test"));
    EXPECT_EQ(status.devices, 0U);
    EXPECT_FALSE(rollout_text(status, kNow).empty());
  }
}

TEST(RolloutStatus, TheExitCodeShowsHowItEnded) {
  EXPECT_EQ(exit_of(read_status(status_json("complete", 4, 0))), Exit::ok);
  EXPECT_EQ(exit_of(read_status(status_json("complete", 3, 1))), Exit::rollout_failed);
  EXPECT_EQ(exit_of(read_status(status_json("aborted", 4, 0))), Exit::rollout_failed);
  EXPECT_EQ(exit_of(read_status(status_json("refused", 0, 0))), Exit::refused);
}

TEST(RolloutViews, ShowStateReasonAndNextCommand) {
  const auto text = rollout_text(read_status(status_json("active", 2, 1)), kNow);
  for (const auto* part : {"gateway 2.4.1 (sequence 7)", "active", "1 min ago", "1.23 MB sent", "9.88 MB",
                           "2 of 4 devices have committed, 1 rolled back", "rolled_back", "probe exited 1"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_EQ(rollout_line(read_status(status_json("active", 2, 1))),
            "00112233aabbccdd active waiting=1 committed=2 rolled_back=1 devices=4 bytes_sent=1234567");
  EXPECT_THAT(rollouts_text({}, kNow), HasSubstr("instar publish"));
}

TEST(RolloutViews, ShowWhyAMemberFailed) {
  EXPECT_THAT(
      members_text(
          Json::array({{{"device", "box-1"}, {"step", "rolled_back"}, {"code", "unhealthy"}, {"reason", "probe"}}}),
          kNow),
      HasSubstr("unhealthy: probe"));
}

class PickRollout : public testing::Test {
 protected:
  // Newest first.
  PickRollout() {
    for (const auto& [id, product, release] : {std::tuple{"dd11223344556677", "gateway", "1.0"},
                                               {"cc11223344556677", "press", "2.0"},
                                               {"bb11223344556677", "gateway", "2.0"},
                                               {"aa99223344556677", "gateway", "3.0"},
                                               {"aa11223344556677", "gateway", "1.0"}}) {
      auto& one = all.emplace_back();
      one.rollout = id;
      one.product = product;
      one.release = release;
    }
  }
  [[nodiscard]] std::string picked(const std::string& name) const {
    const auto found = pick_rollout(all, name);
    return found ? found->status.rollout : found.error().error.message;
  }
  std::vector<RolloutStatus> all;
};

TEST_F(PickRollout, TakesIdPrefixOrRelease) {
  EXPECT_EQ(picked("aa11223344556677"), "aa11223344556677");
  EXPECT_EQ(picked("aa1"), "aa11223344556677");
  EXPECT_EQ(picked("3.0"), "aa99223344556677");
  EXPECT_EQ(pick_rollout(all, "3.0")->note, "");
  EXPECT_EQ(pick_rollout(all, "aa").error().error.code, Code::invalid_argument);
  EXPECT_EQ(pick_rollout(all, "ee").error().error.code, Code::not_found);
  EXPECT_EQ(pick_rollout(all, "").error().error.code, Code::not_found);
}

TEST_F(PickRollout, OfOneNameTakesTheNewestAndSaysSo) {
  EXPECT_EQ(picked("1.0"), "dd11223344556677");
  EXPECT_THAT(pick_rollout(all, "1.0")->note, HasSubstr("'1.0' means the newest of 2 rollouts: dd11223344556677"));
}

TEST_F(PickRollout, OfTwoProductsTakesNone) {
  EXPECT_THAT(picked("2.0"), HasSubstr("bb11223344556677 (gateway 2.0"));
  EXPECT_THAT(picked("2.0"), HasSubstr("say PRODUCT/2.0"));
  EXPECT_EQ(picked("gateway/2.0"), "bb11223344556677");
}

TEST_F(PickRollout, AReleaseGoesBeforeTheBeginningOfAnId) {
  all[2].release = "aa";
  EXPECT_EQ(picked("aa"), "bb11223344556677");
}

}  // namespace
}  // namespace instar::publisher
