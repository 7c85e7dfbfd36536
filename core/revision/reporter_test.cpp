#include "core/revision/reporter.hpp"

#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision {
namespace {

constexpr MonotonicMs kReporterStart{1'000};

class ReporterTest : public testing::Test {
 protected:
  wire::Report read(const Bytes& envelope) {
    const auto opened = trust::open_by_key(envelope, trust::Kind::report, key.public_key());
    EXPECT_TRUE(opened.has_value());
    return *wire::decode_report(opened->payload);
  }
  trust::SecretKey key = *trust::SecretKey::from_seed(Bytes(32, 5));
  Reporter reporter{{}, key, *DeviceId::parse("pump-17")};
};

TEST_F(ReporterTest, NumbersAndSigns) {
  EXPECT_EQ(read(reporter.add({}, kReporterStart)).sequence, 1u);
  const auto second = read(reporter.add({}, kReporterStart));
  EXPECT_EQ(second.sequence, 2u);
  EXPECT_EQ(second.device.str(), "pump-17");
  EXPECT_EQ(reporter.state().last_report, 2u);
}

TEST_F(ReporterTest, SendsNothingAgainWhileDisconnected) {
  reporter.add({}, kReporterStart);
  EXPECT_TRUE(reporter.take_due(kReporterStart + 1'000'000).empty());
  EXPECT_FALSE(reporter.next_deadline().has_value());
}

TEST_F(ReporterTest, PausesDoubleUpToFiveMinutes) {
  reporter.connected(kReporterStart);
  reporter.add({}, kReporterStart);
  std::vector<std::int64_t> pauses;
  auto last = kReporterStart;
  for (int i = 0; i < 10; ++i) {
    const auto due = reporter.next_deadline();
    ASSERT_TRUE(due.has_value());
    EXPECT_TRUE(reporter.take_due(*due + -1).empty());
    EXPECT_EQ(reporter.take_due(*due).size(), 1u);
    pauses.push_back(*due - last);
    last = *due;
  }
  EXPECT_GE(pauses[0], limits::kReportResendMsMin);
  EXPECT_LE(pauses[0], limits::kReportResendMsMin * 5 / 4);
  EXPECT_GE(pauses[3], pauses[2] * 2 - 1);
  EXPECT_GE(pauses.back(), limits::kReportResendMsMax);
  EXPECT_LE(pauses.back(), limits::kReportResendMsMax * 5 / 4);
}

TEST_F(ReporterTest, AnAckDropsWhatItCovers) {
  reporter.connected(kReporterStart);
  for (int i = 0; i < 3; ++i) reporter.add({}, kReporterStart);
  EXPECT_EQ(reporter.acked({2, Code::ok, ""}, kReporterStart), Reporter::Acked::progress);
  ASSERT_EQ(reporter.state().pending.size(), 1u);
  EXPECT_EQ(reporter.state().pending[0].sequence, 3u);
  EXPECT_EQ(reporter.state().acked_report, 2u);
  EXPECT_EQ(reporter.acked({2, Code::ok, ""}, kReporterStart), Reporter::Acked::nothing);
  EXPECT_EQ(reporter.acked({3, Code::ok, ""}, kReporterStart), Reporter::Acked::progress);
  EXPECT_FALSE(reporter.next_deadline().has_value());
}

TEST_F(ReporterTest, AnAckBeforeAGapBringsTheRestSoon) {
  reporter.connected(kReporterStart);
  for (int i = 0; i < 3; ++i) reporter.add({}, kReporterStart);
  EXPECT_EQ(reporter.acked({0, Code::ok, ""}, kReporterStart), Reporter::Acked::nothing);
  EXPECT_LE(*reporter.next_deadline() - kReporterStart, 1'000);
  const auto due = reporter.take_due(kReporterStart + 1'000);
  ASSERT_EQ(due.size(), 3u);
  EXPECT_EQ(read(due[0]).sequence, 1u);
}

TEST_F(ReporterTest, ALongListGoesInTurns) {
  for (int i = 0; i < 40; ++i) reporter.add({}, kReporterStart);
  reporter.connected(kReporterStart);
  EXPECT_EQ(reporter.take_due(kReporterStart).size(), limits::kReportsAtOnceMax);
  EXPECT_EQ(reporter.acked({16, Code::ok, ""}, kReporterStart + 10), Reporter::Acked::progress);
  const auto next = reporter.take_due(kReporterStart + 10);
  ASSERT_EQ(next.size(), limits::kReportsAtOnceMax);
  EXPECT_EQ(read(next[0]).sequence, 17u);
}

TEST_F(ReporterTest, TheOldestGoesWhenThereAreTooMany) {
  for (std::size_t i = 0; i < limits::kPendingReportsMax + 3; ++i) reporter.add({}, kReporterStart);
  EXPECT_EQ(reporter.state().pending.size(), limits::kPendingReportsMax);
  EXPECT_EQ(reporter.state().pending.front().sequence, 4u);
  EXPECT_EQ(reporter.state().acked_report, 3u) << "the next hello makes the broker go on from there";
}

TEST_F(ReporterTest, NumbersGoOnAfterWhatTheBrokerKnows) {
  reporter.connected(kReporterStart);
  wire::Report report;
  report.reason = "first";
  reporter.add(report, kReporterStart);
  reporter.add({}, kReporterStart);
  EXPECT_EQ(reporter.acked({57, Code::ok, ""}, kReporterStart), Reporter::Acked::moved);
  const auto due = reporter.take_due(kReporterStart);
  ASSERT_EQ(due.size(), 2u);
  EXPECT_EQ(read(due[0]).sequence, 58u);
  EXPECT_EQ(read(due[0]).reason, "first");
  EXPECT_EQ(read(due[1]).sequence, 59u);
  EXPECT_EQ(read(reporter.add({}, kReporterStart)).sequence, 60u);
}

TEST_F(ReporterTest, AnAckOutOfThisWorldIsIgnored) {
  reporter.add({}, kReporterStart);
  EXPECT_EQ(reporter.acked({UINT64_MAX, Code::ok, ""}, kReporterStart), Reporter::Acked::nothing);
  EXPECT_EQ(reporter.state().last_report, 1u);
  EXPECT_EQ(reporter.state().pending.size(), 1u);
}

TEST_F(ReporterTest, ABrokerThatDoesNotKnowThisDeviceHearsTheHelloAgain) {
  reporter.connected(kReporterStart);
  reporter.add({}, kReporterStart);
  EXPECT_EQ(reporter.acked({0, Code::not_found, ""}, kReporterStart), Reporter::Acked::lost);
  EXPECT_EQ(reporter.acked({0, Code::unavailable, ""}, kReporterStart), Reporter::Acked::busy);
  EXPECT_LE(*reporter.next_deadline() - kReporterStart, limits::kReportResendMsMin * 5 / 4) << "and the report soon";
}

TEST_F(ReporterTest, ABrokerThatForgotIsNoticed) {
  reporter.add({}, kReporterStart);
  EXPECT_EQ(reporter.acked({1, Code::ok, ""}, kReporterStart), Reporter::Acked::progress);
  EXPECT_EQ(reporter.acked({0, Code::ok, ""}, kReporterStart), Reporter::Acked::lost);
}

TEST(CleanText, KeepsWhatCanStandInAReport) {
  EXPECT_EQ(clean_text("exit 3: größer"), "exit 3: größer");
  EXPECT_EQ(clean_text("a\nb\tc\x7f"), "a b c ");
  EXPECT_EQ(clean_text("a\u202eb"), "a???b");
  EXPECT_EQ(clean_text("x\xff\xfey"), "x??y");
  EXPECT_EQ(clean_text("\xc0\xaf"), "??") << "overlong";
  EXPECT_EQ(clean_text("\xed\xa0\x80"), "???") << "a surrogate";
  EXPECT_EQ(clean_text("\xf0\x9f\x90\x9b"), "\xf0\x9f\x90\x9b");
  EXPECT_EQ(clean_text("\xe2\x82"), "??") << "cut off";
  EXPECT_EQ(clean_text(std::string(5'000, 'x')).size(), limits::kTextBytesMax);
  EXPECT_EQ(clean_text(std::string(1'023, 'x') + "ö").size(), 1'023u) << "no half character at the end";
}

}  // namespace
}  // namespace instar::revision
