#include "core/revision/history.hpp"

#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/revision/testing/machine_fixture.hpp"
#include "core/revision/testing/outbox_fixture.hpp"

namespace instar::revision {
namespace {

Outcome outcome(std::uint64_t sequence, wire::Step step) {
  return {OutboxFixture::hash_of(OutboxFixture::release(sequence)), sequence, 2, 1, step, Code::ok};
}

bool may_begin(const History& history, std::uint64_t sequence) {
  const auto manifest = OutboxFixture::release(sequence);
  return history.may_begin(manifest, OutboxFixture::hash_of(manifest));
}

TEST(HistoryTest, TheNewestOutcomeKeepsItsReasonAndACommitForgetsARefusal) {
  History history({});
  auto first = outcome(1, wire::Step::rolled_back);
  first.reason = "its probe ended with 3";
  history.record(first);
  history.note_refusal("signed by a stranger");
  EXPECT_EQ(history.last()->reason, "its probe ended with 3");
  EXPECT_EQ(history.state().refusal, "signed by a stranger");
  history.record(outcome(2, wire::Step::committed));
  EXPECT_EQ(history.state().outcomes[0].reason, "") << "one is enough";
  EXPECT_EQ(history.state().refusal, "");
  auto long_one = outcome(3, wire::Step::failed);
  long_one.reason = std::string(limits::kTextBytesMax + 100, 'x');
  history.record(long_one);
  EXPECT_EQ(history.last()->reason.size(), limits::kTextBytesMax);
}

TEST(HistoryTest, SequencesOnlyRise) {
  History history({});
  EXPECT_TRUE(may_begin(history, 3));
  history.obey(3);
  EXPECT_FALSE(may_begin(history, 3));
  EXPECT_FALSE(may_begin(history, 2));
  history.obey(2);
  EXPECT_FALSE(may_begin(history, 3)) << "an older one takes nothing back";
  EXPECT_TRUE(may_begin(history, 4));
}

TEST(HistoryTest, ASequenceThatIsTooFarAboveIsRefusedAndOneThatIsNotAboveIsStale) {
  History history({});
  const auto code = [&](std::uint64_t sequence) {
    const auto status = history.check_sequence(OutboxFixture::release(sequence));
    return status ? Code::ok : status.error().code;
  };
  EXPECT_EQ(code(limits::kSequenceStepMax), Code::ok) << "the first one counts from 0";
  EXPECT_EQ(code(limits::kSequenceStepMax + 1), Code::refused);
  EXPECT_FALSE(may_begin(history, limits::kSequenceStepMax + 1));
  history.obey(7);
  EXPECT_EQ(code(7), Code::stale);
  EXPECT_EQ(code(7 + limits::kSequenceStepMax), Code::ok);
  EXPECT_EQ(code(~std::uint64_t{0}), Code::refused);
  history.start_over(2);
  EXPECT_EQ(code(3), Code::ok);
}

TEST(HistoryTest, OfALostStateTheReleaseOfTheHighestSequenceMayBeTakenOnceMore) {
  HistoryState anchored;
  anchored.highest_sequence = 3;
  History history(anchored, {});
  EXPECT_FALSE(may_begin(history, 2));
  EXPECT_FALSE(history.check_sequence(OutboxFixture::release(2)).has_value());
  EXPECT_TRUE(history.check_sequence(OutboxFixture::release(3)).has_value());
  EXPECT_TRUE(may_begin(history, 3));
  history.obey(3);
  EXPECT_FALSE(may_begin(history, 3)) << "it is on its way";
  EXPECT_FALSE(may_begin(History({}, {}), 0)) << "a device that has never obeyed has lost nothing";
}

TEST(HistoryTest, WhatIsKnownOfTheHighestSequenceIsNotLost) {
  HistoryState state;
  state.highest_sequence = 3;
  RevisionsState held;
  held.previous = RevisionRecord{1, {}};
  held.previous->info.sequence = 3;
  EXPECT_FALSE(may_begin(History(state, held), 3));
  state.outcomes = {outcome(3, wire::Step::failed)};
  auto other = OutboxFixture::release(3);
  other.release = "another";
  EXPECT_FALSE(History(state, {}).may_begin(other, OutboxFixture::hash_of(other)));
}

TEST(HistoryTest, WhatFailedMayBeTriedAgainWhileNothingNewerWasObeyed) {
  History history({});
  history.obey(3);
  history.record(outcome(3, wire::Step::rolled_back));
  EXPECT_TRUE(may_begin(history, 3));
  EXPECT_TRUE(history.has_failed(outcome(3, wire::Step::idle).manifest));
  history.obey(4);
  EXPECT_FALSE(may_begin(history, 3));
}

TEST(HistoryTest, WhatIsCommittedIsNotBegunAgain) {
  History history({});
  history.obey(3);
  history.record(outcome(3, wire::Step::committed));
  EXPECT_FALSE(may_begin(history, 3));
  EXPECT_FALSE(history.has_failed(outcome(3, wire::Step::idle).manifest));
}

TEST(HistoryTest, KeepsOneOutcomeOfEachReleaseTheNewestLast) {
  History history({});
  history.record(outcome(1, wire::Step::failed));
  history.record(outcome(2, wire::Step::failed));
  history.record(outcome(1, wire::Step::committed));
  EXPECT_EQ(history.state().outcomes.size(), 2U);
  EXPECT_EQ(history.last()->sequence, 1U);
  EXPECT_EQ(history.attempts(outcome(1, wire::Step::idle).manifest), 2U);
  EXPECT_EQ(history.retry_epoch(outcome(1, wire::Step::idle).manifest), 1U);
  EXPECT_EQ(history.attempts(hash_of("another")), 0U);
  history.assert_invariants();
}

TEST(HistoryTest, RefusesOnceAndForgetsTheOldestWhenThereAreTooMany) {
  History history({});
  EXPECT_TRUE(history.refuse_once(hash_of("first")));
  EXPECT_FALSE(history.refuse_once(hash_of("first")));
  for (std::size_t i = 0; i < limits::kFailedReleasesMax; ++i)
    EXPECT_TRUE(history.refuse_once(hash_of(std::to_string(i))));
  history.assert_invariants();
  EXPECT_TRUE(history.refuse_once(hash_of("first")));
  history.forget_refused();
  EXPECT_TRUE(history.refuse_once(hash_of("first")));
}

}  // namespace
}  // namespace instar::revision
