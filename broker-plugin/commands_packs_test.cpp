// Which packs go, and which stay: the commands, and an upload that finds no room.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

class PackCommands : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fixture_.start().has_value()); }

  nlohmann::json ask(const char* command, const PackFixture& pack) {
    return fixture_.command({{"command", command}, {"pack", pack.id.hex()}});
  }
  nlohmann::json prune(std::uint64_t unused_s = 0, bool dry_run = false) {
    return fixture_.command({{"command", "prunePacks"}, {"unused_s", unused_s}, {"dry_run", dry_run}})["data"];
  }
  // Its row of listPacks; null when it is not there.
  nlohmann::json row(const PackFixture& pack) {
    const auto response = fixture_.command({{"command", "listPacks"}});
    for (const auto& row : response["data"]["packs"]) {
      if (row["pack"] == pack.id.hex()) return row;
    }
    return {};
  }
  void settle() {
    for (int i = 0; i < 5; ++i) fixture_.settle();
  }
  bool has_chunks(const PackFixture& pack) {
    for (std::size_t i = 0; i < pack.encoded.size(); ++i) {
      const auto& ref = pack.directory.chunks[i];
      const auto key = storage::chunk_key(ref.hash, ref.encoded_bytes);
      if (!fixture_.store().durable(storage::Column::chunks, key).has_value()) return false;
    }
    return true;
  }
  static std::string error_of(const nlohmann::json& response) { return response.value("error", std::string()); }

  ServiceFixture fixture_;
  PackFixture one_ = make_pack(1);
  PackFixture two_ = make_pack(2);
  PackFixture three_ = make_pack(3);
};

TEST_F(PackCommands, ListSaysWhatThereIsAndWhoNeedsIt) {
  const auto rollout = fixture_.release(1, one_);
  fixture_.put_directory(two_);
  fixture_.settle();
  FakeDevice device("gw-01");
  device.running = wire::RevisionInfo{"gateway-2", "1.1", 1, rollout, {one_.directory.artifact}};
  fixture_.hello(device);
  fixture_.settle();
  const auto data = fixture_.command({{"command", "listPacks"}})["data"];
  EXPECT_EQ(data["totalCount"], 2);
  EXPECT_EQ(data["bytes"], one_.directory.head_bytes() + one_.directory.body_bytes() + two_.directory.head_bytes() +
                               two_.directory.body_bytes());
  const auto complete = row(one_);
  EXPECT_EQ(complete["state"], "complete");
  EXPECT_EQ(complete["kind"], "full");
  EXPECT_EQ(complete["artifact"], one_.directory.artifact.hex());
  EXPECT_TRUE(complete["base"].is_null());
  EXPECT_EQ(complete["chunks"], one_.encoded.size());
  EXPECT_EQ(complete["rollouts"], nlohmann::json::array({rollout.short_hex()}));
  EXPECT_EQ(complete["devices"], 1);
  EXPECT_EQ(row(two_)["state"], "uploading");
  EXPECT_EQ(row(two_)["rollouts"], nlohmann::json::array());
}

TEST_F(PackCommands, WhatARolloutInForceNeedsIsNotRemoved) {
  const auto rollout = fixture_.release(1, one_);
  EXPECT_NE(error_of(ask("removePack", one_))
                .find("refused: pack " + one_.id.short_hex() + " is needed by rollout " + rollout.short_hex()),
            std::string::npos);
  fixture_.command({{"command", "pauseRollout"}, {"rollout", rollout.hex()}});
  EXPECT_NE(error_of(ask("removePack", one_)), "") << "a paused one may go on";
  EXPECT_EQ(prune()["removed"], 0);
  fixture_.command({{"command", "abortRollout"}, {"rollout", rollout.hex()}});
  EXPECT_EQ(ask("removePack", one_)["data"]["pack"], one_.id.hex());
  EXPECT_NE(error_of(ask("removePack", one_)).find("not_found"), std::string::npos) << "gone meanwhile";
}

TEST_F(PackCommands, ARemovedPackIsGoneAndCanComeAgain) {
  fixture_.upload(one_);
  fixture_.upload(two_);
  EXPECT_FALSE(ask("removePack", one_).contains("error"));
  settle();
  EXPECT_TRUE(row(one_).is_null());
  EXPECT_FALSE(has_chunks(one_));
  EXPECT_TRUE(has_chunks(two_));
  EXPECT_EQ(fixture_.command({{"command", "getVersion"}})["data"]["packs_complete"], 1);
  EXPECT_NE(error_of(ask("removePack", one_)).find("not_found"), std::string::npos);
  EXPECT_EQ(fixture_.publish(make_manifest(one_, 1)), Verdict::refuse) << "no manifest on what is gone";
  fixture_.release(1, one_);
  EXPECT_TRUE(has_chunks(one_));
  EXPECT_EQ(row(one_)["state"], "complete");
}

TEST_F(PackCommands, APackThatGoesIsNotTakenUntilItIsGone) {
  fixture_.upload(one_);
  fixture_.service().on_control({"op-1", "", true},
                                R"({"commands":[{"command":"removePack","pack":")" + one_.id.hex() + R"("}]})",
                                fixture_.now());
  EXPECT_EQ(fixture_.publish(make_manifest(one_, 1)), Verdict::refuse);
  fixture_.put_directory(one_);
  EXPECT_EQ(fixture_.stored().back().code, Code::unavailable);
  settle();
  fixture_.upload(one_);
  EXPECT_EQ(row(one_)["state"], "complete");
  EXPECT_TRUE(has_chunks(one_));
}

TEST_F(PackCommands, AnUploadUnderWayIsNotRemoved) {
  fixture_.put_directory(one_);
  fixture_.settle();
  fixture_.put_chunk(one_, 0);
  fixture_.settle();
  EXPECT_NE(error_of(ask("removePack", one_)).find("being uploaded"), std::string::npos);
  EXPECT_EQ(prune()["removed"], 0);
  fixture_.service().on_disconnect("op-1", fixture_.now());
  EXPECT_EQ(row(one_)["state"], "incomplete");
  EXPECT_EQ(prune(3'600)["removed"], 0) << "its publisher may come back";
  EXPECT_EQ(prune()["removed"], 1);
  settle();
  EXPECT_EQ(fixture_.store().size(storage::Column::chunks), 0U);
}

TEST_F(PackCommands, PruneTakesWhatNobodyNeedsAndNothingElse) {
  const auto first = fixture_.release(1, one_);
  const auto second = fixture_.release(2, two_);
  fixture_.upload(three_);
  FakeDevice device("gw-01");
  device.running = wire::RevisionInfo{"gateway-2", "1.1", 1, first, {one_.directory.artifact}};
  fixture_.hello(device);
  fixture_.settle();
  EXPECT_EQ(prune(3'600)["removed"], 0) << "its release may be on the way";
  const auto dry = prune(0, true);
  EXPECT_EQ(dry["removed"], 1);
  EXPECT_EQ(dry["bytes"], three_.directory.head_bytes() + three_.directory.body_bytes());
  settle();
  EXPECT_TRUE(has_chunks(three_));
  EXPECT_EQ(prune()["removed"], 1);
  settle();
  EXPECT_FALSE(has_chunks(three_));
  EXPECT_TRUE(has_chunks(one_)) << "a device runs it";
  EXPECT_TRUE(has_chunks(two_)) << "a rollout in force needs it";

  // And once the device has gone on, and on again, nobody needs the first.
  device.running = wire::RevisionInfo{"gateway-2", "1.2", 2, second, {two_.directory.artifact}};
  fixture_.hello(device);
  fixture_.settle();
  EXPECT_EQ(prune()["removed"], 1);
  settle();
  EXPECT_FALSE(has_chunks(one_));
  EXPECT_TRUE(has_chunks(two_));
}

TEST_F(PackCommands, SecondsThatAreNoneAreRefused) {
  for (const auto& value : {nlohmann::json(-1), nlohmann::json(1.5), nlohmann::json("1"), nlohmann::json(UINT64_MAX)}) {
    const auto answer = fixture_.command({{"command", "prunePacks"}, {"unused_s", value}});
    EXPECT_NE(error_of(answer).find("unused_s"), std::string::npos) << value;
  }
}

class PackRoom : public PackCommands {
 protected:
  void SetUp() override {}
  static std::uint64_t bytes_of(const PackFixture& pack) {
    return pack.directory.head_bytes() + pack.directory.body_bytes();
  }
};

TEST_F(PackRoom, AnUploadBeyondTheBoundTakesThePlaceOfWhatNobodyNeeds) {
  fixture_.options().pack_bytes_max = bytes_of(one_) + bytes_of(two_);
  ASSERT_TRUE(fixture_.start().has_value());
  fixture_.upload(one_);
  fixture_.upload(two_);
  fixture_.put_directory(three_);
  EXPECT_EQ(fixture_.stored().back().code, Code::no_space) << "both are new: their releases may be on the way";
  EXPECT_NE(fixture_.stored().back().reason.find("plugin_opt_pack_bytes_max"), std::string::npos);
  fixture_.publish(make_manifest(one_, 1));
  fixture_.tick(limits::kPackUsedMs);
  fixture_.upload(three_);
  settle();
  EXPECT_TRUE(has_chunks(one_)) << "it is in force";
  EXPECT_FALSE(has_chunks(two_));
  EXPECT_EQ(row(three_)["state"], "complete");
  EXPECT_TRUE(fixture_.broker().logged("removing packs that nothing needs (1)"));
}

TEST_F(PackRoom, AFullDiskMakesWaitForWhatGoes) {
  std::uint64_t free = UINT64_MAX;
  fixture_.options().disk_free_min = 1'000;
  fixture_.options().free_bytes = [&free] { return std::optional(free); };
  ASSERT_TRUE(fixture_.start().has_value());
  fixture_.upload(one_);
  free = 1'000;
  fixture_.put_directory(two_);
  EXPECT_EQ(fixture_.stored().back().code, Code::no_space) << "nothing may go";
  EXPECT_NE(fixture_.stored().back().reason.find("plugin_opt_disk_free_min"), std::string::npos);
  fixture_.tick(limits::kPackUsedMs);
  fixture_.put_directory(two_);
  EXPECT_EQ(fixture_.stored().back().code, Code::unavailable) << "it is on its way";
  settle();
  EXPECT_FALSE(has_chunks(one_));
  free = 10'000'000;
  fixture_.upload(two_);
  EXPECT_EQ(row(two_)["state"], "complete");
}

}  // namespace
}  // namespace instar::broker
