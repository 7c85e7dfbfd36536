// What every Store promises, tested with each of them.
#include "storage/store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "storage/key_layout.hpp"
#include "storage/memory_store.hpp"
#include "storage/rocks_store.hpp"
#include "storage/testing/scratch_folder.hpp"

namespace instar::storage {
namespace {

struct MemoryMaker {
  std::unique_ptr<Store> make() { return std::make_unique<MemoryStore>(); }
};

struct RocksMaker {
  ScratchFolder folder;
  std::unique_ptr<Store> make() {
    auto store = RocksStore::open(folder.path() + "/store");
    EXPECT_TRUE(store.has_value()) << store.error().message;
    return std::move(*store);
  }
};

template <typename Maker>
class EveryStore : public testing::Test {
 protected:
  Maker maker_;
  std::unique_ptr<Store> store_ = maker_.make();

  // Polls until `condition` holds. Only a store that hangs exceeds the bound.
  template <typename Condition>
  void poll_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      if (store_->poll() == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    ASSERT_TRUE(condition());
  }
  Status commit(Batch batch) {
    std::optional<Status> result;
    store_->commit(std::move(batch), [&](Status status) { result = std::move(status); });
    poll_until([&] { return result.has_value(); });
    return *result;
  }
  std::optional<Bytes> read(Column column, const std::string& key) {
    std::optional<Result<std::optional<Bytes>>> result;
    store_->read(column, key, [&](Result<std::optional<Bytes>> value) { result = std::move(value); });
    poll_until([&] { return result.has_value(); });
    EXPECT_TRUE(result->has_value());
    return **result;
  }
  std::vector<bool> contains(Column column, std::vector<std::string> keys) {
    std::optional<Result<std::vector<bool>>> result;
    store_->contains(column, std::move(keys), [&](Result<std::vector<bool>> value) { result = std::move(value); });
    poll_until([&] { return result.has_value(); });
    EXPECT_TRUE(result->has_value());
    return **result;
  }
  std::vector<std::string> scan(Column column, std::string_view prefix) {
    std::vector<std::string> out;
    const auto status = store_->scan(column, prefix, [&](ByteView key, ByteView value) {
      out.push_back(std::string(as_text(key)) + "=" + std::string(as_text(value)));
      return true;
    });
    EXPECT_TRUE(status.has_value());
    return out;
  }
};

Write put(Column column, std::string key, std::string_view value) {
  return {column, std::move(key), to_bytes(value)};
}
Write erase(Column column, std::string key) {
  return {column, std::move(key), std::nullopt};
}

using Makers = testing::Types<MemoryMaker, RocksMaker>;
TYPED_TEST_SUITE(EveryStore, Makers);

TYPED_TEST(EveryStore, ReadsBackWhatWasCommittedInEachColumn) {
  Batch batch;
  for (std::size_t i = 0; i < kColumnCount; ++i)
    batch.push_back(put(static_cast<Column>(i), "key", std::string("v") + std::to_string(i)));
  ASSERT_TRUE(this->commit(batch).has_value());
  for (std::size_t i = 0; i < kColumnCount; ++i) {
    EXPECT_EQ(this->read(static_cast<Column>(i), "key"), to_bytes("v" + std::to_string(i)));
    EXPECT_EQ(this->read(static_cast<Column>(i), "other"), std::nullopt);
  }
}

TYPED_TEST(EveryStore, KeepsColumnsApart) {
  ASSERT_TRUE(this->commit({put(Column::devices, "k", "device")}).has_value());
  EXPECT_EQ(this->read(Column::members, "k"), std::nullopt);
  EXPECT_EQ(this->scan(Column::members, ""), std::vector<std::string>{});
}

TYPED_TEST(EveryStore, AppliesABatchInItsOrder) {
  ASSERT_TRUE(this->commit({put(Column::meta, "a", "1"), put(Column::meta, "a", "2"), put(Column::meta, "b", "1"),
                            erase(Column::meta, "b")})
                  .has_value());
  EXPECT_EQ(this->read(Column::meta, "a"), to_bytes("2"));
  EXPECT_EQ(this->read(Column::meta, "b"), std::nullopt);
}

TYPED_TEST(EveryStore, KeepsBinaryKeysEmptyValuesAndLargeBlobs) {
  const std::string key("\0\xff\0k", 4);
  const Bytes blob(262'144, 0xa5);
  Batch batch{put(Column::packs, key, "")};
  batch.push_back({Column::chunks, key, blob});
  ASSERT_TRUE(this->commit(std::move(batch)).has_value());
  EXPECT_EQ(this->read(Column::packs, key), Bytes{});
  EXPECT_EQ(this->read(Column::chunks, key), blob);
}

TYPED_TEST(EveryStore, SaysWhichKeysItContains) {
  ASSERT_TRUE(this->commit({put(Column::chunks, "a", "x"), put(Column::chunks, "c", "x"), put(Column::packs, "a", "x")})
                  .has_value());
  EXPECT_EQ(this->contains(Column::chunks, {"a", "b", "c"}), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(this->contains(Column::packs, {"a", "c"}), (std::vector<bool>{true, false}));
  EXPECT_EQ(this->contains(Column::packs, {}), std::vector<bool>{});
  ASSERT_TRUE(this->commit({erase(Column::chunks, "a")}).has_value());
  EXPECT_EQ(this->contains(Column::chunks, {"a", "c"}), (std::vector<bool>{false, true}));
}

TYPED_TEST(EveryStore, ScansAPrefixInKeyOrder) {
  ASSERT_TRUE(this->commit({put(Column::members, "b2", "2"), put(Column::members, "a", "0"),
                            put(Column::members, "b1", "1"), put(Column::members, "c", "3")})
                  .has_value());
  EXPECT_EQ(this->scan(Column::members, "b"), (std::vector<std::string>{"b1=1", "b2=2"}));
  EXPECT_EQ(this->scan(Column::members, "").size(), 4U);
  EXPECT_EQ(this->scan(Column::members, "d").size(), 0U);
}

TYPED_TEST(EveryStore, ScanStopsWhenTheVisitorReturnsFalse) {
  ASSERT_TRUE(this->commit({put(Column::meta, "x1", "1"), put(Column::meta, "x2", "2")}).has_value());
  int seen = 0;
  ASSERT_TRUE(this->store_->scan(Column::meta, "x", [&](ByteView, ByteView) { return ++seen < 1; }).has_value());
  EXPECT_EQ(seen, 1);
}

TYPED_TEST(EveryStore, ScanSeesCommitsWhoseCallbackHasNotRunYet) {
  bool called = false;
  this->store_->commit({put(Column::devices, "d", "1")}, [&](Status) { called = true; });
  EXPECT_EQ(this->scan(Column::devices, ""), std::vector<std::string>{"d=1"});
  EXPECT_FALSE(called);
}

TYPED_TEST(EveryStore, CallsBackOnlyInsidePollOnTheOwnersThreadInOrder) {
  std::vector<int> order;
  const auto owner = std::this_thread::get_id();
  for (int i = 0; i < 200; ++i) {
    this->store_->commit({put(Column::meta, "k" + std::to_string(i), "v")}, [&, i](Status status) {
      EXPECT_TRUE(status.has_value());
      EXPECT_EQ(std::this_thread::get_id(), owner);
      order.push_back(i);
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(this->store_->pending_commits(), 200U);
  this->poll_until([&] { return order.size() == 200; });
  for (int i = 0; i < 200; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(this->store_->pending_commits(), 0U);
}

TYPED_TEST(EveryStore, AnswersReadsInOrder) {
  ASSERT_TRUE(this->commit({put(Column::meta, "a", "1"), put(Column::meta, "b", "2")}).has_value());
  std::string order;
  this->store_->read(Column::meta, "a", [&](Result<std::optional<Bytes>>) { order += "a"; });
  this->store_->contains(Column::meta, {"a"}, [&](Result<std::vector<bool>>) { order += "c"; });
  this->store_->read(Column::meta, "b", [&](Result<std::optional<Bytes>>) { order += "b"; });
  EXPECT_EQ(order, "");
  this->poll_until([&] { return order.size() == 3; });
  EXPECT_EQ(order, "acb");
}

TYPED_TEST(EveryStore, TakesCommitsFromInsideACallback) {
  bool second = false;
  this->store_->commit({put(Column::meta, "one", "1")}, [&](Status) {
    this->store_->commit({put(Column::meta, "two", "2")}, [&](Status status) { second = status.has_value(); });
  });
  this->poll_until([&] { return second; });
  EXPECT_EQ(this->read(Column::meta, "two"), to_bytes("2"));
}

TYPED_TEST(EveryStore, AnEmptyBatchIsABarrier) {
  std::string order;
  this->store_->commit({put(Column::meta, "k", "v")}, [&](Status) { order += "1"; });
  this->store_->commit({}, [&](Status status) { order += status.has_value() ? "2" : "x"; });
  this->poll_until([&] { return order.size() == 2; });
  EXPECT_EQ(order, "12");
}

TYPED_TEST(EveryStore, WakesItsOwnerWhenThereIsSomethingToPoll) {
  std::atomic<int> woken = 0;
  int seen = 0;
  this->store_->on_ready([&] { ++woken; });
  // Passes the calls to the store, then polls only when woken. Each answer must come in this way.
  const auto answered = [&](const bool& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    this->store_->flush();
    while (!done && std::chrono::steady_clock::now() < end) {
      if (const int now = woken; now != seen) {
        seen = now;
        this->store_->poll();
      } else {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
    }
    return done;
  };
  bool committed = false;
  this->store_->commit({put(Column::meta, "k", "v")}, [&](Status status) { committed = status.has_value(); });
  EXPECT_TRUE(answered(committed));
  bool read = false;
  this->store_->read(Column::meta, "k", [&](Result<std::optional<Bytes>> value) { read = value.has_value(); });
  EXPECT_TRUE(answered(read));
  this->store_->on_ready({});
}

TYPED_TEST(EveryStore, ReopensOnlyWithNothingOutstanding) {
  bool done = false;
  this->store_->commit({put(Column::meta, "k", "v")}, [&](Status) { done = true; });
  EXPECT_EQ(this->store_->reopen().error().code, Code::unavailable);
  this->poll_until([&] { return done; });
  EXPECT_TRUE(this->store_->reopen().has_value());
  EXPECT_EQ(this->read(Column::meta, "k"), to_bytes("v"));
}

}  // namespace
}  // namespace instar::storage
