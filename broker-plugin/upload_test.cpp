#include "broker-plugin/upload.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

class Uploads : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fixture_.start().has_value());
    fixture_.settle();
  }
  wire::Stored last(std::string_view client = "op-1") {
    const auto all = fixture_.stored(client);
    EXPECT_FALSE(all.empty());
    return all.empty() ? wire::Stored{} : all.back();
  }
  bool complete(const PackFixture& pack) {
    return fixture_.command({{"command", "getPack"}, {"pack", pack.id.hex()}})["data"]["complete"] == true;
  }

  ServiceFixture fixture_;
  PackFixture pack_ = make_pack(1);
};

TEST_F(Uploads, ADirectoryWithAnotherHashThanThePacksIdIsRefused) {
  auto other = pack_;
  other.bytes[40] = static_cast<std::uint8_t>(other.bytes[40] ^ 1);
  fixture_.put_directory(other);
  EXPECT_EQ(last().code, Code::corrupt);
  EXPECT_EQ(last().pack, pack_.id);
  fixture_.put_directory(pack_);
  fixture_.settle();
  EXPECT_TRUE(last().directory) << "the right one is taken afterwards";
}

TEST_F(Uploads, AMalformedDirectoryIsRefusedEvenIfItsHashIsRight) {
  auto other = pack_;
  other.bytes = noise(500, 9);
  other.id = PackId(trust::digest(other.bytes));
  fixture_.put_directory(other);
  EXPECT_EQ(last().code, Code::malformed);
}

TEST_F(Uploads, ChunksWithoutADirectoryAreRefused) {
  fixture_.put_chunk(pack_, 0);
  EXPECT_EQ(last().code, Code::not_found);
}

TEST_F(Uploads, AChunkThatDoesNotMatchItsHashIsRefusedAndTheRightOneTaken) {
  fixture_.put_directory(pack_);
  fixture_.settle();
  auto damaged = pack_.encoded[2];
  damaged[50'000] = static_cast<std::uint8_t>(damaged[50'000] ^ 1);
  fixture_.put_object(wire::PutKind::chunk, pack_.id, 2, damaged);
  fixture_.settle();
  EXPECT_EQ(last().code, Code::corrupt);
  fixture_.put_object(wire::PutKind::chunk, pack_.id, 2, noise(99, 1));
  EXPECT_EQ(last().code, Code::corrupt);
  fixture_.put_object(wire::PutKind::chunk, pack_.id, 5, noise(99, 1));
  EXPECT_EQ(last().code, Code::invalid_argument);
  fixture_.put_chunk(pack_, 2);
  fixture_.settle();
  ASSERT_EQ(last().durable.size(), 1U);
  EXPECT_EQ(last().durable[0].first, 2U);
}

TEST_F(Uploads, APieceOutOfOrderIsRefusedOnceAndTheObjectCanStartOver) {
  fixture_.put_directory(pack_);
  fixture_.settle();
  const auto before = fixture_.stored().size();
  const auto total = static_cast<std::uint32_t>(pack_.encoded[1].size());
  fixture_.put({wire::PutKind::chunk, pack_.id, 1, total, 0, to_bytes(ByteView(pack_.encoded[1]).first(1'000))});
  fixture_.put({wire::PutKind::chunk, pack_.id, 1, total, 2'000, Bytes(1'000)});
  fixture_.put({wire::PutKind::chunk, pack_.id, 1, total, 3'000, Bytes(1'000)});
  fixture_.put({wire::PutKind::chunk, pack_.id, 1, total, 4'000, Bytes(1'000)});
  EXPECT_EQ(fixture_.stored().size(), before + 1);
  EXPECT_EQ(last().code, Code::malformed);
  fixture_.put_chunk(pack_, 1);
  fixture_.settle();
  EXPECT_EQ(last().code, Code::ok);
}

TEST_F(Uploads, AnswersOfOneTickComeTogetherAndOnlyWhenDurable) {
  fixture_.put_directory(pack_);
  fixture_.settle();
  const auto before = fixture_.stored().size();
  for (std::uint32_t i = 0; i < 4; ++i) fixture_.put_chunk(pack_, i);
  EXPECT_EQ(fixture_.stored().size(), before);
  fixture_.tick();
  ASSERT_EQ(fixture_.stored().size(), before + 1);
  ASSERT_EQ(last().durable.size(), 1U);
  EXPECT_EQ(last().durable[0].count, 4U);
  EXPECT_FALSE(last().complete);
}

TEST_F(Uploads, TheLastChunkAndCompletenessAreOneAnswer) {
  fixture_.put_directory(pack_);
  fixture_.settle();
  for (std::uint32_t i = 0; i < 4; ++i) fixture_.put_chunk(pack_, i);
  fixture_.settle();
  const auto before = fixture_.stored().size();
  fixture_.put_chunk(pack_, 4);
  fixture_.settle();
  ASSERT_EQ(fixture_.stored().size(), before + 1);
  EXPECT_TRUE(last().complete);
  ASSERT_EQ(last().durable.size(), 1U);
  EXPECT_EQ(last().durable[0].first, 4U);
}

TEST_F(Uploads, GoOnAfterARestartWithWhatIsMissing) {
  fixture_.put_directory(pack_);
  fixture_.settle();
  fixture_.put_chunk(pack_, 0);
  fixture_.put_chunk(pack_, 3);
  fixture_.settle();
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.put_directory(pack_);
  fixture_.settle();
  ASSERT_EQ(last().missing.size(), 2U);
  EXPECT_EQ(last().missing[0].first, 1U);
  EXPECT_EQ(last().missing[0].count, 2U);
  EXPECT_EQ(last().missing[1].first, 4U);
  for (const auto i : {1U, 2U, 4U}) fixture_.put_chunk(pack_, i);
  fixture_.settle();
  EXPECT_TRUE(last().complete);
  EXPECT_TRUE(complete(pack_));
}

TEST_F(Uploads, ACompletePackIsAnsweredAsCompleteAtOnce) {
  fixture_.upload(pack_);
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.put_directory(pack_);
  EXPECT_TRUE(last().complete);
  EXPECT_TRUE(last().directory);
  fixture_.put_chunk(pack_, 1);
  fixture_.settle();
  EXPECT_TRUE(last().complete);
}

TEST_F(Uploads, ChunksThatAnotherPackBroughtAreNotAskedFor) {
  fixture_.upload(pack_);
  auto other = pack_;
  other.directory.kind = artifact::PackKind::dedupe;
  other.bytes = artifact::encode_directory(other.directory);
  other.id = PackId(trust::digest(other.bytes));
  fixture_.put_directory(other);
  fixture_.settle();
  EXPECT_TRUE(last().complete);
  EXPECT_TRUE(last().directory);
  EXPECT_TRUE(complete(other));
}

TEST_F(Uploads, AChunkThatIsListedTwiceCountsTwice) {
  auto twice = pack_;
  twice.directory.chunks[4] = twice.directory.chunks[1];
  twice.bytes = artifact::encode_directory(twice.directory);
  twice.id = PackId(trust::digest(twice.bytes));
  fixture_.put_directory(twice);
  fixture_.settle();
  for (std::uint32_t i = 0; i < 4; ++i) fixture_.put_object(wire::PutKind::chunk, twice.id, i, pack_.encoded[i]);
  fixture_.settle();
  EXPECT_TRUE(complete(twice));
}

TEST_F(Uploads, TwoOperatorsMayBringTheSamePack) {
  fixture_.put_directory(pack_, "op-1");
  fixture_.put_directory(pack_, "op-2");
  fixture_.settle();
  EXPECT_EQ(last("op-1").missing.size(), 1U);
  EXPECT_EQ(last("op-2").missing.size(), 1U) << "both get the list of what is missing";
  for (std::uint32_t i = 0; i < 5; ++i) fixture_.put_chunk(pack_, i, i % 2 == 0 ? "op-1" : "op-2");
  fixture_.settle();
  EXPECT_TRUE(last("op-1").complete);
  EXPECT_TRUE(last("op-2").complete);
}

TEST_F(Uploads, InAnotherClientsNameAreRefused) {
  const wire::Put put{
      wire::PutKind::directory, pack_.id, 0, static_cast<std::uint32_t>(pack_.bytes.size()), 0, pack_.bytes};
  EXPECT_EQ(fixture_.send("op-2", fixture_.topics().put(client_id("op-1")), wire::encode(put)), Verdict::refuse);
  EXPECT_EQ(fixture_.send("op-1", fixture_.topics().put(client_id("op-1")), Bytes{1, 2}), Verdict::refuse);
  EXPECT_TRUE(fixture_.stored().empty());
}

TEST_F(Uploads, MayHaveMoreChunksThanTheStoreIsAskedAboutAtOnce) {
  auto many = make_pack(7, 3'000, 64);
  fixture_.upload(many);
  EXPECT_TRUE(complete(many));
}

// --- the Upload alone, with small bounds ---------------------------------------------------------------

struct UploadFixture {
  explicit UploadFixture(UploadOptions options)
      : upload(
            store,
            [this](storage::Batch batch, std::function<void()> act) {
              store.commit(std::move(batch), [act = std::move(act)](Status) { act(); });
            },
            [this](const ClientId&, const wire::Stored& stored) { sent.push_back(stored); }, options) {}
  storage::MemoryStore store;
  std::vector<wire::Stored> sent;
  Upload upload;
};

TEST(UploadBounds, UnfinishedObjectsOfAllClientsTogether) {
  UploadFixture fixture({.assembly_bytes_max = 100'000});
  const auto pack = make_pack(1);
  int refused = 0;
  for (int i = 0; i < 10; ++i) {
    const wire::Put put{wire::PutKind::chunk, pack.id, 1, 100'000, 0, Bytes(30'000)};
    const auto status = fixture.upload.put(client_id("op-" + std::to_string(i)), put);
    refused += !status.has_value() && status.error().code == Code::unavailable ? 1 : 0;
    EXPECT_LE(fixture.upload.assembly_bytes(), 100'000U);
  }
  EXPECT_EQ(refused, 7);
  for (int i = 0; i < 10; ++i) fixture.upload.drop(client_id("op-" + std::to_string(i)));
  EXPECT_EQ(fixture.upload.assembly_bytes(), 0U);
}

TEST(UploadBounds, Clients) {
  UploadFixture fixture({.clients_max = 3});
  const auto pack = make_pack(1);
  for (int i = 0; i < 5; ++i) {
    const wire::Put put{wire::PutKind::chunk, pack.id, 1, 100'000, 0, Bytes(10)};
    EXPECT_EQ(fixture.upload.put(client_id("op-" + std::to_string(i)), put).has_value(), i < 3) << i;
  }
}

TEST(UploadBounds, ChunksThatTheStoreHasNotWrittenYet) {
  UploadFixture fixture({.writing_bytes_max = 250'000});
  const auto pack = make_pack(1, 5, 100'000);
  const auto client = client_id("op");
  const auto send = [&](std::uint32_t ordinal) {
    const auto& bytes = pack.encoded[ordinal];
    Status status;
    for (std::size_t at = 0; at < bytes.size(); at += 60'000) {
      const auto piece = to_bytes(ByteView(bytes).subspan(at, std::min<std::size_t>(60'000, bytes.size() - at)));
      status =
          fixture.upload.put(client, {wire::PutKind::chunk, pack.id, ordinal, static_cast<std::uint32_t>(bytes.size()),
                                      static_cast<std::uint32_t>(at), piece});
    }
    return status;
  };
  ASSERT_TRUE(fixture.upload
                  .put(client, {wire::PutKind::directory, pack.id, 0, static_cast<std::uint32_t>(pack.bytes.size()), 0,
                                pack.bytes})
                  .has_value());
  for (int i = 0; i < 5; ++i) fixture.store.poll();
  EXPECT_TRUE(send(1).has_value());
  EXPECT_TRUE(send(2).has_value());
  EXPECT_EQ(send(3).error().code, Code::unavailable);
  fixture.store.poll();
  EXPECT_TRUE(send(3).has_value());
}

TEST(UploadBounds, TooManyPacksDropTheOneUsedLongestAgo) {
  UploadFixture fixture({.packs_max = 2});
  const auto client = client_id("op");
  std::vector<PackFixture> packs;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    packs.push_back(make_pack(i, 1, 100));
    const auto& pack = packs.back();
    ASSERT_TRUE(fixture.upload
                    .put(client, {wire::PutKind::directory, pack.id, 0, static_cast<std::uint32_t>(pack.bytes.size()),
                                  0, pack.bytes})
                    .has_value());
    for (int n = 0; n < 5; ++n) fixture.store.poll();
  }
  const auto send = [&](const PackFixture& pack) {
    return fixture.upload.put(client, {wire::PutKind::chunk, pack.id, 1,
                                       static_cast<std::uint32_t>(pack.encoded[1].size()), 0, pack.encoded[1]});
  };
  EXPECT_EQ(send(packs[0]).error().code, Code::not_found);
  EXPECT_TRUE(send(packs[1]).has_value());
  EXPECT_TRUE(send(packs[2]).has_value());
}

std::string text(const std::vector<wire::OrdinalRange>& ranges) {
  std::string out;
  for (const auto& range : ranges) out += std::to_string(range.first) + "+" + std::to_string(range.count) + " ";
  return out;
}

TEST(Ranges, JoinNeighbours) {
  EXPECT_EQ(text(to_ranges({})), "");
  EXPECT_EQ(text(to_ranges({3})), "3+1 ");
  EXPECT_EQ(text(to_ranges({0, 1, 2, 4, 6, 7})), "0+3 4+1 6+2 ");
}

TEST(Ranges, AreCoarsenedToFitAndStillContainAllOrdinals) {
  std::vector<std::uint32_t> odd;
  for (std::uint32_t i = 1; i < 20'000; i += 2) odd.push_back(i);
  odd.push_back(90'000);
  const auto ranges = coarsen(to_ranges(odd), 100);
  EXPECT_LE(ranges.size(), 100U);
  for (const auto ordinal : odd) {
    bool inside = false;
    for (const auto& range : ranges) inside = inside || (ordinal >= range.first && ordinal < range.first + range.count);
    ASSERT_TRUE(inside) << ordinal;
  }
  EXPECT_EQ(text(coarsen(to_ranges({1, 2, 9}), 2)), "1+2 9+1 ") << "what fits stays as it is";
}

}  // namespace
}  // namespace instar::broker
