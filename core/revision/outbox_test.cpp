#include "core/revision/outbox.hpp"

#include <gtest/gtest.h>

#include "core/revision/testing/outbox_fixture.hpp"

namespace instar::revision {
namespace {

// A device that runs release 1 reports this step of an attempt at release 2.
wire::Report reported(wire::Step step) {
  OutboxFixture box(OutboxFixture::running(1, OutboxFixture::release(1)));
  wire::Report report;
  report.rollout = OutboxFixture::hash_of(OutboxFixture::release(2));
  report.attempt = 1;
  report.step = step;
  box.out.report(std::move(report));
  const auto sent = OutboxFixture::reports(box.take());
  EXPECT_EQ(sent.size(), 1U);
  return sent.empty() ? wire::Report() : sent.front();
}

TEST(Outbox, ReportsSayWhatRunsWhereThatMayHaveChanged) {
  for (const auto step : {wire::Step::committed, wire::Step::rolled_back}) {
    const auto report = reported(step);
    ASSERT_TRUE(report.running.has_value());
    EXPECT_EQ(report.running->manifest, OutboxFixture::hash_of(OutboxFixture::release(1)));
  }
}

TEST(Outbox, ReportsDoNotSayAgainWhatRuns) {
  const auto first = OutboxFixture::release(1);
  OutboxFixture box(OutboxFixture::running(1, first));
  wire::Hello hello;
  hello.description.running = OutboxFixture::record_of(1, first).info;
  box.out.send_hello(hello);
  wire::Report back;
  back.rollout = OutboxFixture::hash_of(OutboxFixture::release(2));
  back.step = wire::Step::rolled_back;
  box.out.report(back);
  EXPECT_FALSE(OutboxFixture::reports(box.take()).at(0).running.has_value()) << "the hello said it";
  hello.description.running = OutboxFixture::record_of(2, OutboxFixture::release(2)).info;
  box.out.send_hello(hello);
  box.out.report(back);
  box.out.report(back);
  const auto sent = OutboxFixture::reports(box.take());
  EXPECT_TRUE(sent.at(0).running.has_value()) << "another one runs than was said last";
  EXPECT_FALSE(sent.at(1).running.has_value()) << "the report before said it";
}

TEST(Outbox, OtherReportsAreSmall) {
  for (const auto step : {wire::Step::waiting, wire::Step::fetching, wire::Step::staging, wire::Step::trying,
                          wire::Step::refused, wire::Step::failed})
    EXPECT_FALSE(reported(step).running.has_value());
}

TEST(Outbox, AReportIsPersistedBeforeItGoesOut) {
  OutboxFixture box;
  box.out.report(wire::Report());
  const auto effects = box.take();
  EXPECT_TRUE(box.persisted);
  EXPECT_EQ(OutboxFixture::reports(effects).size(), 1U);
}

TEST(Outbox, AReportWithoutALinkIsKept) {
  OutboxFixture box;
  box.out.disconnected();
  box.out.report(wire::Report());
  EXPECT_TRUE(OutboxFixture::reports(box.take()).empty());
  EXPECT_TRUE(box.persisted);
}

}  // namespace
}  // namespace instar::revision
