#include "core/revision/adoption.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::revision {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const DeviceId kNew = DeviceId::parse("new").value();

DeviceState of(const std::string& device, const std::string& product) {
  DeviceState state;
  state.device = device;
  state.product = product;
  state.boot = 7;
  state.revisions.current = RevisionRecord{3, {product, "1.0", 9, {}, {}}};
  state.revisions.current_manifest = Bytes(1);
  state.revisions.candidate = RevisionRecord{4, {product, "1.1", 10, {}, {}}};
  state.revisions.candidate_manifest = Bytes(1);
  state.revisions.numbers = {3, 4};
  state.phase = Phase::fetching;
  state.history.highest_sequence = 10;
  state.history.outcomes = {{ManifestId(), 9, 1, 0, wire::Step::committed, Code::ok}};
  state.reports.pending = {{5, Bytes(1)}};
  state.reports.last_report = 5;
  state.assignment = Bytes(1);
  return state;
}

TEST(Adoption, ItsOwnStateStaysAsItIs) {
  auto state = of("new", "press");
  const auto before = state;
  EXPECT_THAT(adopt(state, kNew, "press"), IsEmpty());
  EXPECT_EQ(state, before);
}

TEST(Adoption, AStateThatNamesNobodyIsThisDevices) {
  auto state = of("", "");
  EXPECT_THAT(adopt(state, kNew, "press"), IsEmpty());
  EXPECT_EQ(state.device, "new");
  EXPECT_EQ(state.product, "press");
  EXPECT_EQ(state.history.highest_sequence, 10U);
  EXPECT_EQ(state.reports.last_report, 5U);
}

TEST(Adoption, ARenamedDeviceKeepsWhatRunsAndNoneOfTheOthersReports) {
  auto state = of("old", "press");
  EXPECT_THAT(adopt(state, kNew, "press"), ElementsAre(HasSubstr("that of old")));
  EXPECT_EQ(state.device, "new");
  EXPECT_EQ(state.revisions.current->number, 3U);
  EXPECT_EQ(state.phase, Phase::fetching) << "what is under way goes on";
  EXPECT_EQ(state.history.highest_sequence, 10U) << "no older release may come in by a new name";
  EXPECT_EQ(state.reports, ReportsState());
  EXPECT_THAT(state.assignment, IsEmpty());
}

TEST(Adoption, AnotherProductCountsFromItsFirstSequence) {
  auto state = of("new", "press");
  EXPECT_THAT(adopt(state, kNew, "saw"), ElementsAre(HasSubstr("press was at 10")));
  EXPECT_EQ(state.product, "saw");
  EXPECT_EQ(state.history, HistoryState());
  EXPECT_EQ(state.revisions.current->number, 3U) << "it runs until the new product's release comes";
  EXPECT_EQ(state.phase, Phase::idle);
  EXPECT_FALSE(state.revisions.candidate) << "the other product's release is not gone for any more";
  EXPECT_THAT(state.revisions.numbers, ElementsAre(3, 4)) << "its folder is known";
  EXPECT_EQ(state.reports.last_report, 5U);
}

TEST(Adoption, ATrialOfTheOtherProductComesToItsEnd) {
  auto state = of("new", "press");
  state.phase = Phase::trying;
  static_cast<void>(adopt(state, kNew, "saw"));
  EXPECT_EQ(state.phase, Phase::trying);
  EXPECT_TRUE(state.revisions.candidate);
}

}  // namespace
}  // namespace instar::revision
