#include "broker-plugin/commits.hpp"

#include <gtest/gtest.h>

#include "broker-plugin/testing/service_fixture.hpp"

namespace instar::broker {
namespace {

storage::Batch write_of(const std::string& key) {
  return {{storage::Column::meta, key, Bytes{1}}};
}

class CommitsTest : public testing::Test {
 protected:
  void fail_next_write() { store_.set_faults({.fail_commit = store_.commit_count() + 1}); }

  storage::MemoryStore store_;
  FakeBroker broker_;
  Log log_{broker_};
  Commits commits_{store_, log_};
  int acted_ = 0;
};

TEST_F(CommitsTest, ActOnceTheWriteIsDurable) {
  commits_.when_durable(write_of("a"), [this] { ++acted_; });
  EXPECT_EQ(acted_, 0);
  store_.poll();
  EXPECT_EQ(acted_, 1);
}

TEST_F(CommitsTest, ActAtOnceWhenThereIsNothingToWaitFor) {
  commits_.when_durable({}, [this] { ++acted_; });
  EXPECT_EQ(acted_, 1);
}

TEST_F(CommitsTest, ActAfterAllWritesBeforeThem) {
  commits_.when_durable(write_of("a"), {});
  commits_.when_durable({}, [this] { ++acted_; });
  EXPECT_EQ(acted_, 0);
  store_.poll();
  EXPECT_EQ(acted_, 1);
}

TEST_F(CommitsTest, AFailureIsLoggedOnceAndNothingIsActedOnUntilTheStoreWorksAgain) {
  fail_next_write();
  commits_.when_durable(write_of("a"), [this] { ++acted_; });
  commits_.when_durable(write_of("b"), [this] { ++acted_; });
  store_.poll();
  EXPECT_TRUE(commits_.is_down());
  EXPECT_TRUE(commits_.is_behind());
  EXPECT_EQ(broker_.lines.size(), 1U);
  const auto before = acted_;
  commits_.when_durable({}, [this] { ++acted_; });
  EXPECT_EQ(acted_, before);
  ASSERT_TRUE(commits_.may_retry({10'000})) << "at once, the first time";
  ASSERT_TRUE(commits_.reopen({10'000}).has_value());
  commits_.assert_invariants();
  EXPECT_TRUE(commits_.is_down()) << "what is in it has not been loaded yet";
  EXPECT_FALSE(commits_.may_retry({14'999}));
  EXPECT_TRUE(commits_.may_retry({15'000}));
  commits_.works_again();
  commits_.assert_invariants();
  commits_.when_durable({}, [this] { ++acted_; });
  EXPECT_EQ(acted_, before + 1);
}

TEST_F(CommitsTest, AFailureIsPassedOnInWords) {
  fail_next_write();
  commits_.when_durable(write_of("a"), {});
  store_.poll();
  ASSERT_TRUE(commits_.is_down());
  EXPECT_EQ(commits_.why_down().code, Code::unavailable) << "it may work again soon";
  EXPECT_NE(commits_.why_down().message.find("the broker's store does not work ("), std::string::npos);
}

TEST_F(CommitsTest, WhatIsLostIsAnsweredInThePlaceOfWhatWouldFollow) {
  int lost = 0;
  const auto answer = [&](const Error& why) {
    ++lost;
    EXPECT_EQ(why.code, Code::unavailable);
  };
  fail_next_write();
  commits_.when_durable(
      write_of("a"), [this] { ++acted_; }, answer);
  EXPECT_EQ(lost, 0);
  store_.poll();
  EXPECT_EQ(lost, 1);
  commits_.when_durable(
      write_of("b"), [this] { ++acted_; }, answer);
  EXPECT_EQ(lost, 2) << "at once, while it is down";
  EXPECT_EQ(acted_, 0);
}

TEST_F(CommitsTest, CallbacksAfterItsEndDoNothing) {
  {
    Commits gone(store_, log_);
    gone.when_durable(write_of("a"), [this] { ++acted_; });
  }
  store_.poll();
  EXPECT_EQ(acted_, 0);
}

}  // namespace
}  // namespace instar::broker
