// Packs that go: the removal alone, over a store whose power is cut at every moment.
#include "broker-plugin/packs.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

constexpr WallMs kPacksNow{1'760'000'000'000};

// Small chunks, more of them than one write deletes.
PackFixture many_chunks(std::uint64_t seed) {
  return make_pack(seed, 4 * limits::kRemovalSliceMax + 100, 64);
}

// `pack`, with chunks `first` to `last` of `other` in place of its own.
PackFixture sharing(PackFixture pack, const PackFixture& other, std::size_t first, std::size_t last) {
  for (auto i = first; i < last; ++i) {
    pack.directory.chunks[i] = other.directory.chunks[i];
    pack.encoded[i] = other.encoded[i];
  }
  pack.bytes = artifact::encode_directory(pack.directory);
  pack.id = PackId(trust::digest(pack.bytes));
  return pack;
}

std::string key_of(const PackFixture& pack, std::size_t chunk) {
  const auto& ref = pack.directory.chunks[chunk];
  return storage::chunk_key(ref.hash, ref.encoded_bytes);
}

class PacksFixture {
 public:
  PacksFixture() { start(); }

  void start() {
    packs.emplace(store, [this](storage::Batch batch, std::function<void()> act) {
      store.commit(std::move(batch), [act = std::move(act)](const Status& status) {
        if (status.has_value()) act();
      });
    });
    EXPECT_TRUE(packs->load(kPacksNow).has_value());
  }
  void add(const PackFixture& pack) {
    storage::Batch batch{{storage::Column::packs, storage::directory_key(pack.id), pack.bytes},
                         {storage::Column::packs, storage::complete_key(pack.id), storage::used_value(kPacksNow)}};
    for (std::size_t i = 0; i < pack.encoded.size(); ++i)
      batch.push_back({storage::Column::chunks, key_of(pack, i), pack.encoded[i]});
    store.commit(std::move(batch), {});
    store.poll();
  }
  void turn() {
    store.poll();
    packs->tick(kPacksNow);
    packs->assert_invariants();
  }
  void settle() {
    for (int i = 0; i < 100; ++i) turn();
    EXPECT_EQ(packs->removing_count(), 0U);
  }
  [[nodiscard]] bool has_chunk(const PackFixture& pack, std::size_t chunk) const {
    return store.durable(storage::Column::chunks, key_of(pack, chunk)).has_value();
  }
  [[nodiscard]] bool has_all(const PackFixture& pack) const {
    for (std::size_t i = 0; i < pack.encoded.size(); ++i) {
      if (!has_chunk(pack, i)) return false;
    }
    return store.durable(storage::Column::packs, storage::directory_key(pack.id)).has_value();
  }

  storage::MemoryStore store;
  std::optional<Packs> packs;
};

TEST(Packs, ThatGoLeaveNothingAndTakeNothingOfOthers) {
  PacksFixture fixture;
  const auto gone = many_chunks(1);
  const auto stays = sharing(many_chunks(2), gone, 100, 400);
  fixture.add(gone);
  fixture.add(stays);
  fixture.start();
  EXPECT_EQ(fixture.packs->complete_count(), 2U);
  EXPECT_EQ(fixture.packs->all().at(gone.id).bytes, gone.directory.head_bytes() + gone.directory.body_bytes());
  fixture.packs->remove({gone.id});
  EXPECT_FALSE(fixture.packs->is_complete(gone.id)) << "at once: no manifest is to be taken on it";
  fixture.settle();
  EXPECT_FALSE(fixture.packs->all().contains(gone.id));
  EXPECT_TRUE(fixture.has_all(stays));
  EXPECT_EQ(fixture.store.size(storage::Column::chunks), stays.encoded.size());
  EXPECT_EQ(fixture.store.size(storage::Column::packs), 2U) << "directory and mark of the one that stays";
}

TEST(Packs, SeveralThatShareChunksGoTogether) {
  PacksFixture fixture;
  const auto one = many_chunks(1);
  const auto other = sharing(many_chunks(2), one, 0, 300);
  fixture.add(one);
  fixture.add(other);
  fixture.start();
  fixture.packs->remove({one.id, other.id});
  fixture.settle();
  EXPECT_EQ(fixture.store.size(storage::Column::chunks), 0U);
  EXPECT_EQ(fixture.store.size(storage::Column::packs), 0U);
}

TEST(Packs, ARemovalGoesOnAfterACrashAtAnyMoment) {
  const auto gone = many_chunks(1);
  const auto stays = sharing(many_chunks(2), gone, 100, 400);
  bool was_through = false;
  for (int when = 0; !was_through && when < 100; ++when) {
    SCOPED_TRACE("crash at " + std::to_string(when));
    PacksFixture fixture;
    fixture.add(gone);
    fixture.add(stays);
    fixture.start();
    fixture.packs->remove({gone.id});
    for (int turn = 0; turn < when / 2; ++turn) fixture.turn();
    was_through = !fixture.packs->all().contains(gone.id);
    fixture.store.crash(static_cast<std::size_t>(when % 2));
    const bool was_marked = was_through ||
                            fixture.store.durable(storage::Column::packs, storage::removing_key(gone.id)).has_value() ||
                            !fixture.store.durable(storage::Column::packs, storage::directory_key(gone.id)).has_value();
    fixture.start();
    fixture.settle();
    ASSERT_TRUE(fixture.has_all(stays));
    EXPECT_TRUE(fixture.packs->is_complete(stays.id));
    if (was_marked) {
      EXPECT_EQ(fixture.store.size(storage::Column::chunks), stays.encoded.size());
      EXPECT_FALSE(fixture.packs->all().contains(gone.id));
    } else {
      EXPECT_TRUE(fixture.has_all(gone)) << "nothing goes before its mark is durable";
      EXPECT_TRUE(fixture.packs->is_complete(gone.id));
    }
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_TRUE(was_through) << "every moment of the removal has been tried";
}

// What an upload finds in the store when its directory is durable, it need not send: that stays, whenever it begins.
TEST(Packs, AnUploadThatBeginsDuringARemovalKeepsWhatItFinds) {
  const auto gone = many_chunks(1);
  const auto begins = sharing(many_chunks(3), gone, 50, 600);
  bool was_through = false;
  for (int when = 0; !was_through && when < 50; ++when) {
    SCOPED_TRACE("begins at " + std::to_string(when));
    PacksFixture fixture;
    fixture.add(gone);
    fixture.start();
    fixture.packs->remove({gone.id});
    for (int turn = 0; turn < when; ++turn) fixture.turn();
    was_through = !fixture.packs->all().contains(gone.id);
    fixture.packs->began(begins.id, begins.directory);
    std::set<std::size_t> found;
    fixture.store.commit({{storage::Column::packs, storage::directory_key(begins.id), begins.bytes}},
                         [&](const Status&) {
                           for (std::size_t i = 0; i < begins.encoded.size(); ++i) {
                             if (fixture.has_chunk(begins, i)) found.insert(i);
                           }
                         });
    fixture.settle();
    for (const auto chunk : found) ASSERT_TRUE(fixture.has_chunk(begins, chunk)) << chunk;
    EXPECT_TRUE(when > 0 || found.size() == 550U) << "nothing had been deleted";
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_TRUE(was_through);
}

TEST(Packs, AStoreThatCannotBeReadLosesNothing) {
  PacksFixture fixture;
  const auto pack = many_chunks(1);
  fixture.add(pack);
  fixture.start();
  fixture.store.set_faults({.fail_commit = fixture.store.commit_count() + 2, .fail_reopens = 0});
  fixture.packs->remove({pack.id});
  for (int i = 0; i < 20; ++i) fixture.turn();
  EXPECT_TRUE(fixture.has_all(pack));
  ASSERT_TRUE(fixture.store.reopen().has_value());
  ASSERT_TRUE(fixture.packs->load(kPacksNow).has_value());
  EXPECT_TRUE(fixture.packs->is_removing(pack.id)) << "its mark was durable";
  fixture.settle();
  EXPECT_EQ(fixture.store.size(storage::Column::chunks), 0U);
}

TEST(Packs, AreNotedAsUsedOnceAnHour) {
  PacksFixture fixture;
  const auto pack = many_chunks(1);
  fixture.add(pack);
  fixture.start();
  const auto commits = fixture.store.commit_count();
  fixture.packs->tick(kPacksNow + (limits::kPackUsedMs - 1));
  fixture.packs->served(pack.id);
  EXPECT_EQ(fixture.store.commit_count(), commits);
  fixture.packs->tick(kPacksNow + limits::kPackUsedMs);
  for (int i = 0; i < 3; ++i) fixture.packs->served(pack.id);
  EXPECT_EQ(fixture.store.commit_count(), commits + 1);
  fixture.store.poll();
  fixture.start();
  EXPECT_EQ(fixture.packs->all().at(pack.id).used, kPacksNow + limits::kPackUsedMs);
}

TEST(Packs, UnusedIsWhatNoClockSaysIsNew) {
  KnownPack pack;
  pack.used = kPacksNow;
  EXPECT_FALSE(is_unused(pack, 1'000, kPacksNow + 999));
  EXPECT_TRUE(is_unused(pack, 1'000, kPacksNow + 1'000));
  EXPECT_FALSE(is_unused(pack, 1'000, kPacksNow + -999)) << "a clock that was set back a little";
  EXPECT_TRUE(is_unused(pack, 1'000, kPacksNow + -1'000)) << "it was used under a wrong one";
  EXPECT_TRUE(is_unused(pack, 0, kPacksNow));
}

TEST(Packs, ADamagedDirectoryCanBeRemoved) {
  PacksFixture fixture;
  const auto id = make_pack(1).id;
  fixture.store.commit({{storage::Column::packs, storage::directory_key(id), Bytes{1, 2, 3}},
                        {storage::Column::packs, storage::complete_key(id), Bytes{}}},
                       {});
  fixture.store.poll();
  fixture.start();
  EXPECT_EQ(fixture.packs->all().at(id).chunks, 0U);
  fixture.packs->remove({id});
  fixture.settle();
  EXPECT_EQ(fixture.store.size(storage::Column::packs), 0U);
}

}  // namespace
}  // namespace instar::broker
