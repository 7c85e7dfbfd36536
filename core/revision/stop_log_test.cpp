#include "core/revision/stop_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::revision {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

MonotonicMs at(std::int64_t ms) {
  return MonotonicMs{ms};
}

TEST(StopLog, ThreeStopsWithinAnHourAreDegraded) {
  StopLog log;
  log.stopped("web", at(0));
  log.stopped("web", at(1'000));
  log.stopped("database", at(1'000));
  EXPECT_THAT(log.degraded(at(2'000)), IsEmpty());
  log.stopped("web", at(3'000));
  EXPECT_THAT(log.degraded(at(3'000)), ElementsAre(HasSubstr("container 'web' stops again and again")));
  EXPECT_EQ(log.worst(at(3'000)), std::pair(std::string("web"), std::size_t{3}));
}

TEST(StopLog, WhatIsAnHourOldIsForgotten) {
  StopLog log;
  for (const auto ms : {0, 1'000, 2'000}) log.stopped("web", at(ms));
  EXPECT_EQ(log.next_deadline(), at(StopLog::kMemoryMs));
  EXPECT_THAT(log.degraded(at(StopLog::kMemoryMs)), IsEmpty());
  log.forget(at(StopLog::kMemoryMs));
  EXPECT_EQ(log.next_deadline(), at(StopLog::kMemoryMs + 1'000));
  log.forget(at(StopLog::kMemoryMs + 2'000));
  EXPECT_EQ(log.next_deadline(), std::nullopt);
}

TEST(StopLog, AContainerThatStopsForeverTakesNoMoreMemory) {
  StopLog log;
  for (int i = 0; i < 10'000; ++i) log.stopped("web", at(i));
  EXPECT_EQ(log.worst(at(10'000)).second, 64U);
}

TEST(StopLog, AnotherRevisionStartsFromNothing) {
  StopLog log;
  for (const auto ms : {0, 1, 2}) log.stopped("web", at(ms));
  log.clear();
  EXPECT_THAT(log.degraded(at(3)), IsEmpty());
  EXPECT_EQ(log.worst(at(3)).second, 0U);
}

}  // namespace
}  // namespace instar::revision
