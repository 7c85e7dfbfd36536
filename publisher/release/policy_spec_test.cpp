#include "publisher/release/policy_spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::publisher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(PolicySpec, ParsesWaves) {
  const auto count = parse_wave("5").value();
  EXPECT_EQ(count.device_count, 5U);
  const auto share = parse_wave("2.5%:success=95%,soak=1h,approval,quorum=30%").value();
  EXPECT_EQ(share.share_bp, 250);
  EXPECT_EQ(share.success_bp, 9'500);
  EXPECT_EQ(share.soak_s, 3'600U);
  EXPECT_EQ(share.quorum_bp, 3'000);
  EXPECT_TRUE(share.approval);
  EXPECT_THAT(parse_wave("gw-01,gw-02:soak=5m").value().devices, ElementsAre("gw-01", "gw-02"));
  EXPECT_EQ(parse_wave("all").value().share_bp, 10'000);
  EXPECT_THAT(parse_wave("a b").error().message,
              HasSubstr("must begin with a number of devices, a share such as 10%, all, or device ids"));
  EXPECT_THAT(parse_wave("101%").error().message, HasSubstr("must be a share"));
  EXPECT_THAT(parse_wave("5:soon").error().message, HasSubstr("wave '5:soon': 'soon' is none of success=P%"));
}

TEST(PolicySpec, ParsesWindows) {
  const auto nights = parse_window("Mon-Fri 02:00 4h").value();
  EXPECT_EQ(nights.days, 31);
  EXPECT_EQ(nights.start_minute, 120);
  EXPECT_EQ(nights.duration_minutes, 240);
  EXPECT_EQ(parse_window("daily 23:30 90min").value().days, 127);
  EXPECT_EQ(parse_window("Fri-Mon 00:00 24h").value().days, 16 | 32 | 64 | 1);
  EXPECT_EQ(parse_window("sat,sun 22:00 8h").value().days, 96);
  for (const auto* wrong : {"Mon 2:0 1h", "Mun 02:00 1h", "Mon 02:00", "Mon 24:00 1h", "Mon 02:00 25h"}) {
    EXPECT_EQ(parse_window(wrong).error().code, Code::invalid_argument) << wrong;
  }
}

TEST(PolicySpec, ParsesFailuresAsNumberOrShare) {
  wire::Policy policy;
  ASSERT_TRUE(parse_failures("3", policy).has_value());
  EXPECT_EQ(policy.failures_max, 3U);
  ASSERT_TRUE(parse_failures("2%", policy).has_value());
  EXPECT_EQ(policy.failures_max, 0U);
  EXPECT_EQ(policy.failures_bp, 200);
  EXPECT_FALSE(parse_failures("0", policy).has_value());
  EXPECT_FALSE(parse_failures("many", policy).has_value());
}

TEST(PolicySpec, AWaveOfEveryoneIsAddedAtTheEnd) {
  wire::Policy policy;
  policy.waves = {parse_wave("10%").value()};
  ASSERT_TRUE(complete_policy(policy).has_value());
  ASSERT_EQ(policy.waves.size(), 2U);
  EXPECT_EQ(policy.waves[1].share_bp, 10'000);
  policy.budget_action = wire::BudgetAction::revert;
  EXPECT_THAT(complete_policy(policy).error().message, HasSubstr("revert_allowed"));
}

TEST(PolicySpec, AnApprovalIsPlainOrSigned) {
  wire::Policy policy;
  ASSERT_TRUE(parse_approval("signed", policy).has_value());
  EXPECT_TRUE(policy.approval_signed);
  EXPECT_THAT(complete_policy(policy).error().message, HasSubstr("no wave asks for approval"));
  policy.waves = {parse_wave("5:approval").value()};
  ASSERT_TRUE(complete_policy(policy).has_value());
  EXPECT_EQ(policy_json(policy)["approval"], "signed");
  EXPECT_EQ(policy_lines(policy).back().second, "signed, and checked by each device");
  ASSERT_TRUE(parse_approval("plain", policy).has_value());
  EXPECT_FALSE(policy.approval_signed);
  EXPECT_THAT(parse_approval("yes", policy).error().message, HasSubstr("must be plain or signed"));
}

TEST(PolicySpec, AGateMayNotGoStaleBeforeTheNextOneComes) {
  wire::Policy policy;
  policy.stale_after_s = 2 * 86'400 - 1;
  EXPECT_FALSE(complete_policy(policy).has_value());
  policy.stale_after_s = 2 * 86'400;
  EXPECT_TRUE(complete_policy(policy).has_value());
  EXPECT_EQ(policy_json(policy)["stale_after_s"], 172'800);
}

TEST(PolicySpec, ShowsWhatDiffersFromTheDefaults) {
  wire::Policy policy;
  EXPECT_TRUE(policy_lines(policy).empty());
  policy.waves = {parse_wave("5:success=80%,soak=1h,approval").value(), parse_wave("all").value()};
  policy.windows = {parse_window("Mon-Fri 02:00 4h").value()};
  const auto lines = policy_lines(policy);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].second, "5 devices; on when 80% have committed, for 1 h, and approved");
  EXPECT_EQ(lines[1].second, "everyone");
  EXPECT_EQ(lines[2].second, "Mon,Tue,Wed,Thu,Fri 02:00, 4 h");
}

}  // namespace
}  // namespace instar::publisher
