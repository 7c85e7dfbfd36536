#include "storage/memory_store.hpp"

#include <gtest/gtest.h>

namespace instar::storage {
namespace {

Batch one(std::string key) {
  return {{Column::meta, std::move(key), Bytes{1}}};
}

TEST(MemoryStore, CrashLosesWhatIsNotDurableAndItsCallbacks) {
  MemoryStore store;
  int called = 0;
  store.commit(one("durable"), [&](Status) { ++called; });
  EXPECT_EQ(store.poll(), 1U);
  store.commit(one("lost"), [&](Status) { ++called; });
  store.read(Column::meta, "durable", [&](Result<std::optional<Bytes>>) { ++called; });
  store.crash();
  EXPECT_EQ(store.pending_commits(), 0U);
  EXPECT_EQ(store.poll(), 0U);
  EXPECT_EQ(called, 1);
  EXPECT_EQ(store.size(Column::meta), 1U);
}

TEST(MemoryStore, CrashInsideACallbackDropsTheRest) {
  MemoryStore store;
  int called = 0;
  store.commit(one("a"), [&](Status) {
    ++called;
    store.crash();
  });
  store.commit(one("b"), [&](Status) { ++called; });
  store.poll();
  store.poll();
  EXPECT_EQ(called, 1);
  EXPECT_EQ(store.size(Column::meta), 1U);
}

TEST(MemoryStore, FailsTheNthCommitAndAllAfterItUntilReopened) {
  for (std::uint64_t nth = 1; nth <= 4; ++nth) {
    MemoryStore store;
    store.set_faults({.fail_commit = nth, .fail_reopens = 1});
    std::vector<bool> worked;
    for (int i = 0; i < 4; ++i)
      store.commit(one(std::to_string(i)), [&](Status status) { worked.push_back(status.has_value()); });
    store.poll();
    ASSERT_EQ(worked.size(), 4U);
    for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(worked[i], i + 1 < nth);
    EXPECT_EQ(store.size(Column::meta), nth - 1);
    EXPECT_FALSE(store.reopen().has_value());
    EXPECT_TRUE(store.reopen().has_value());
    store.commit(one("again"), [&](Status status) { worked.push_back(status.has_value()); });
    store.poll();
    EXPECT_TRUE(worked.back());
  }
}

TEST(MemoryStore, AScanDoesNotShowWhatWillFail) {
  MemoryStore store;
  store.set_faults({.fail_commit = 2});
  store.commit(one("a"), {});
  store.commit(one("b"), {});
  int seen = 0;
  ASSERT_TRUE(store.scan(Column::meta, "", [&](ByteView, ByteView) { return ++seen > 0; }).has_value());
  EXPECT_EQ(seen, 1);
}

TEST(MemoryStore, DelaysByPolls) {
  MemoryStore store;
  store.set_faults({.delay_polls = 2});
  bool done = false;
  store.commit(one("a"), [&](Status) { done = true; });
  store.poll();
  store.poll();
  EXPECT_FALSE(done);
  EXPECT_EQ(store.pending_commits(), 1U);
  store.poll();
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace instar::storage
