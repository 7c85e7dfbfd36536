// The table of commands, beside the page that people read; replies and pages of lists.
#include "broker-plugin/commands.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "broker-plugin/reply.hpp"
#include "broker-plugin/testing/service_fixture.hpp"

namespace instar::broker {
namespace {

std::set<std::string> words_of(std::string_view text) {
  std::istringstream in{std::string(text)};
  return {std::istream_iterator<std::string>(in), {}};
}

// Names in backticks; of `"devices": true` the name alone.
std::vector<std::string> names_in(const std::string& cell) {
  static const std::regex quoted("`\"?([A-Za-z_]+)[^`]*`");
  std::vector<std::string> out;
  for (std::sregex_iterator at(cell.begin(), cell.end(), quoted), end; at != end; ++at) out.push_back((*at)[1]);
  return out;
}

// Command → fields, as docs/formats/control.md has them.
std::map<std::string, std::set<std::string>> page_of_commands() {
  std::ifstream in(INSTAR_SOURCE_DIR "/docs/formats/control.md");
  std::map<std::string, std::set<std::string>> out;
  for (std::string line; std::getline(in, line);) {
    std::istringstream cells(line);
    std::string none;
    std::string names;
    std::string fields;
    if (!line.starts_with("| `") || !std::getline(cells, none, '|') || !std::getline(cells, names, '|') ||
        !std::getline(cells, fields, '|'))
      continue;
    for (const auto& name : names_in(names)) {
      for (const auto& field : names_in(fields)) out[name].insert(field);
      out.try_emplace(name);
    }
  }
  return out;
}

TEST(Commands, AreThoseOfTheirPageWithItsFields) {
  std::map<std::string, std::set<std::string>> table;
  for (const auto& command : commands()) table[std::string(command.name)] = words_of(command.fields);
  EXPECT_EQ(table, page_of_commands());
}

TEST(Commands, AnUnknownOneIsAnsweredWithAllNames) {
  ServiceFixture fixture;
  ASSERT_TRUE(fixture.start().has_value());
  const auto error = fixture.command({{"command", "nonsense"}})["error"].get<std::string>();
  for (const auto& command : commands()) EXPECT_NE(error.find(command.name), std::string::npos) << command.name;
}

TEST(Commands, AnswerWithTheFormThatTheTableSays) {
  ServiceFixture fixture;
  ASSERT_TRUE(fixture.start().has_value());
  const auto pack = make_pack(1);
  const auto rollout = fixture.release(1, pack);
  FakeDevice device("gw-01");
  fixture.hello(device);
  fixture.settle();
  for (const auto& command : commands()) {
    // These three need a rollout that waits for them, and these a pack that no rollout needs, a device that is not
    // forgotten, and a signed word.
    if (command.name == "approveRollout" || command.name == "revertRollout" || command.name == "retryRollout") continue;
    if (command.name == "removePack" || command.name == "replaceDevice" || command.name == "enrolDevice") continue;
    const auto response = fixture.command({{"command", command.name},
                                           {"rollout", rollout.hex()},
                                           {"device", "gw-01"},
                                           {"pack", pack.id.hex()},
                                           {"product", "gateway-2"},
                                           {"groups", {"plant-7"}},
                                           {"older_than_s", 86'400}});
    SCOPED_TRACE(response.dump());
    EXPECT_FALSE(response.contains("error"));
    EXPECT_EQ(response.contains("data"), command.answer != Answer::nothing);
    const auto fields = words_of(command.fields);
    if (command.answer != Answer::list) continue;
    for (const auto* field : {"totalCount", "count", "offset"}) EXPECT_TRUE(response["data"].contains(field));
    EXPECT_TRUE(fields.contains("offset") && fields.contains("count"));
  }
}

TEST(ReadRequest, TakesAListOfCommandsAndNothingElse) {
  EXPECT_EQ(read_request(R"({"commands":[{"command":"getVersion"}]})")->size(), 1U);
  EXPECT_EQ(read_request("[]").error().code, Code::malformed);
  EXPECT_EQ(read_request(R"({"commands":[]})").error().code, Code::malformed);
  Json many;
  for (int i = 0; i < 17; ++i) many["commands"].push_back({{"command", "getVersion"}});
  EXPECT_EQ(read_request(many.dump()).error().code, Code::too_large);
}

TEST(ReadRequest, WhatJsonCannotHoldIsAnError) {
  const auto request = [](const std::string& value) {
    return read_request(R"({"commands":[{"command":"listDevices","offset":)" + value + "}]}");
  };
  EXPECT_TRUE(request("0").has_value());
  EXPECT_NE(request("1e999").error().message.find("the message has a number out of range"), std::string::npos);
  EXPECT_EQ(request(std::string(1'000, '[') + std::string(1'000, ']')).error().code, Code::too_large);
  EXPECT_EQ(request(R"(1,"offset":2)").error().code, Code::malformed);
}

TEST(ReadRequest, APlaceInAListIsAWholeNumber) {
  ServiceFixture fixture;
  ASSERT_TRUE(fixture.start().has_value());
  for (const char* field : {"offset", "count"}) {
    for (const auto& value : {nlohmann::json(-1), nlohmann::json(1.5), nlohmann::json("1"), nlohmann::json(1e300)}) {
      const auto answer = fixture.command({{"command", "listDevices"}, {field, value}});
      ASSERT_TRUE(answer.contains("error")) << field << " " << value;
      EXPECT_NE(answer["error"].get<std::string>().find(field), std::string::npos);
    }
    EXPECT_FALSE(fixture.command({{"command", "listDevices"}, {field, 18'446'744'073'709'551'615U}}).contains("error"));
  }
}

class ReplyTest : public testing::Test {
 protected:
  std::string sent_;
  std::shared_ptr<Reply> reply_ = std::make_shared<Reply>([this](const std::string& json) { sent_ = json; });
};

TEST_F(ReplyTest, GoesOutWhenNothingIsWaitedFor) {
  const Slot slot(reply_, reply_->add({{"command", "x"}}));
  reply_->wait();
  reply_->done();
  EXPECT_EQ(sent_, "");
  slot.response()["data"] = 7;
  reply_->assert_invariants();
  reply_->done();
  EXPECT_EQ(sent_, R"({"responses":[{"command":"x","data":7}]})");
}

TEST_F(ReplyTest, APageHasTheRowsThatWereAskedForAndCountsAll) {
  PageOfRows page({{"offset", 2U}, {"count", 3U}}, *reply_);
  int made = 0;
  for (int i = 0; i < 10; ++i) {
    page.offer([&] {
      ++made;
      return Json(i);
    });
  }
  Json out;
  page.put_into(out, "rows");
  EXPECT_EQ(out.dump(), R"({"totalCount":10,"count":3,"offset":2,"rows":[2,3,4]})");
  EXPECT_EQ(made, 3) << "the others cost nothing";
}

TEST_F(ReplyTest, APageEndsWhereTheReplyHasNoRoomAndStillCountsAll) {
  PageOfRows page(Json::object(), *reply_);
  for (int i = 0; i < 5; ++i) page.offer([] { return Json(std::string(40'000, 'x')); });
  page.offer([] { return Json(1); });
  Json out;
  page.put_into(out, "rows");
  EXPECT_EQ(out["totalCount"], 6);
  EXPECT_EQ(out["count"], 2) << "no later row takes the place of one that did not fit";
  reply_->assert_invariants();
}

}  // namespace
}  // namespace instar::broker
