// $CONTROL.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "broker-plugin/commands.hpp"
#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"
#include "core/base/testing/some_hash.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

using wire::Step;

class Control : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fixture_.start().has_value());
    rollout_ = fixture_.release(1, pack_);
    for (auto* device : {&one_, &two_}) fixture_.hello(*device);
    fixture_.settle();
    auto refused = two_.report_message(rollout_, Step::refused, ++two_.last_sequence);
    refused.code = Code::no_space;
    refused.reason = "needs 5 MB, has 3 MB";
    fixture_.from(two_, wire::TopicKind::device_report, two_.seal_report(refused));
    fixture_.settle();
  }
  static std::string error_of(const nlohmann::json& response) { return response.value("error", std::string()); }

  ServiceFixture fixture_;
  PackFixture pack_ = make_pack(1);
  FakeDevice one_{"gw-01"};
  FakeDevice two_{"gw-02", 101};
  ManifestId rollout_;
};

TEST_F(Control, AnswersEachCommandInItsOrderWithItsCorrelation) {
  const auto answer = fixture_.control(
      R"({"commands":[{"command":"getVersion","correlationData":"a"},{"command":"getPack","pack":")" +
      make_pack(5).id.hex() +
      R"(","correlationData":"b"},{"command":"nonsense","correlationData":"c"},{"command":"listDevices"}]})");
  const auto& responses = answer["responses"];
  ASSERT_EQ(responses.size(), 4U);
  EXPECT_EQ(responses[0]["command"], "getVersion");
  EXPECT_EQ(responses[0]["correlationData"], "a");
  EXPECT_EQ(responses[0]["data"]["schema_version"], storage::kSchemaVersion);
  EXPECT_EQ(responses[0]["data"]["prefix"], "instar/v1");
  EXPECT_EQ(responses[1]["correlationData"], "b");
  EXPECT_NE(error_of(responses[1]).find("not_found"), std::string::npos);
  EXPECT_NE(error_of(responses[2]).find("unsupported: no command 'nonsense'"), std::string::npos);
  EXPECT_EQ(responses[3]["data"]["totalCount"], 2);
  EXPECT_FALSE(responses[3].contains("correlationData"));
}

TEST_F(Control, RefusesWhatIsNoRequestWithAnAnswer) {
  for (const auto* text :
       {"", "{", "[]", "null", "{}", R"({"commands":{}})", R"({"commands":[]})", "\xff\xfe", R"({"commands":"x"})"}) {
    const auto answer = fixture_.control(text);
    ASSERT_EQ(answer["responses"].size(), 1U) << text;
    EXPECT_NE(error_of(answer["responses"][0]).find("malformed"), std::string::npos) << text;
  }
  for (const auto* text :
       {R"({"commands":[1]})", R"({"commands":[{}]})", R"({"commands":[{"command":7}]})", R"({"commands":[null]})"}) {
    EXPECT_TRUE(fixture_.control(text)["responses"][0].contains("error")) << text;
  }
  std::string deep(50'000, '[');
  EXPECT_TRUE(fixture_.control(deep)["responses"][0].contains("error"));
  std::string many = R"({"commands":[)";
  for (int i = 0; i < 17; ++i) many += std::string(i == 0 ? "" : ",") + R"({"command":"getVersion"})";
  EXPECT_NE(error_of(fixture_.control(many + "]}")["responses"][0]).find("too_large"), std::string::npos);
}

TEST_F(Control, FieldsOfTheWrongTypeAreErrorsNotCrashes) {
  using nlohmann::json;
  const std::vector<json> values{
      1, -1, 1.5, true, nullptr, "", "x/y", std::string(5'000, 'a'), json::array(), json::object(), "\xff"};
  for (const auto& command : commands()) {
    for (const auto* field : {"rollout", "device", "pack", "group", "groups", "product", "offset", "count", "verbose",
                              "devices", "correlationData"}) {
      for (const auto& value : values) {
        const json request{{"commands", {{{"command", command.name}, {field, value}}}}};
        fixture_.forget_published();
        const auto answer = fixture_.control(request.dump(-1, ' ', false, json::error_handler_t::ignore));
        ASSERT_EQ(answer["responses"].size(), 1U) << request.dump(-1, ' ', false, json::error_handler_t::replace);
      }
    }
  }
  EXPECT_EQ(fixture_.command({{"command", "listDevices"}})["data"]["totalCount"], 2) << "and nothing was changed by it";
}

TEST_F(Control, GetRolloutAnswersAllThatStatusSaysAndMore) {
  const auto data =
      fixture_.command({{"command", "getRollout"}, {"rollout", rollout_.short_hex()}, {"devices", true}})["data"];
  EXPECT_EQ(data["manifest"], rollout_.hex());
  EXPECT_EQ(data["counts"]["waiting"], 1);
  EXPECT_EQ(data["counts"]["refused"], 1);
  ASSERT_EQ(data["reasons"].size(), 1U);
  EXPECT_EQ(data["reasons"][0]["code"], "no_space");
  EXPECT_EQ(data["reasons"][0]["reason"], "needs 5 MB, has 3 MB");
  EXPECT_EQ(data["reasons"][0]["count"], 1);
  EXPECT_EQ(data["by_group"][0]["group"], "plant-7");
  EXPECT_EQ(data["by_group"][0]["devices"], 2);
  ASSERT_EQ(data["members"].size(), 2U);
  EXPECT_EQ(data["members"][1]["device"], "gw-02");
  EXPECT_EQ(data["members"][1]["step"], "refused");
  const auto page = fixture_.command(
      {{"command", "getRollout"}, {"rollout", rollout_.hex()}, {"devices", true}, {"offset", 1}, {"count", 1}})["data"];
  EXPECT_EQ(page["totalCount"], 2);
  ASSERT_EQ(page["members"].size(), 1U);
  EXPECT_EQ(page["members"][0]["device"], "gw-02");
  EXPECT_NE(error_of(fixture_.command({{"command", "getRollout"}, {"rollout", "0123456789abcdef"}})).find("not_found"),
            std::string::npos);
  EXPECT_NE(error_of(fixture_.command({{"command", "getRollout"}, {"rollout", "zz"}})).find("invalid_argument"),
            std::string::npos);
  auto other = rollout_;
  other.bytes[31] = static_cast<std::uint8_t>(other.bytes[31] ^ 1);
  EXPECT_NE(error_of(fixture_.command({{"command", "getRollout"}, {"rollout", other.hex()}})).find("not_found"),
            std::string::npos);
}

TEST_F(Control, CountsTheArtifactsThatDevicesRun) {
  const auto artifact = [](std::uint8_t number) {
    SomeHash id;
    id.bytes.fill(number);
    return id;
  };
  const auto run = [&](const char* name, std::uint8_t seed, const char* group, const char* release,
                       std::uint64_t sequence, std::vector<ArtifactId> artifacts) {
    FakeDevice device(name, seed);
    device.groups = {group_path(group)};
    device.running = wire::RevisionInfo{"gateway-2", release, sequence, artifact(99), std::move(artifacts)};
    fixture_.hello(device);
  };
  run("a", 110, "plant-8/x", "2.0", 20, {artifact(1), artifact(2)});
  run("b", 111, "plant-8/y", "2.1", 21, {artifact(2), artifact(2)});
  run("c", 112, "plant-9", "1.0", 10, {artifact(3)});
  fixture_.settle();

  const auto data = fixture_.command(
      {{"command", "listArtifacts"}, {"groups", {"plant-8", "plant-8/x"}}, {"product", "gateway-2"}})["data"];
  EXPECT_EQ(data["devices"], 2) << "a device in two of the groups is counted once";
  EXPECT_EQ(data["devices_without"], 0);
  ASSERT_EQ(data["artifacts"].size(), 2U);
  EXPECT_EQ(data["artifacts"][0]["artifact"], artifact(2).hex()) << "the one with most devices first";
  EXPECT_EQ(data["artifacts"][0]["devices"], 2);
  EXPECT_EQ(data["artifacts"][0]["metered"], 0);
  EXPECT_EQ(data["artifacts"][0]["release"], "2.1");
  EXPECT_EQ(data["artifacts"][1]["artifact"], artifact(1).hex());

  const auto all = fixture_.command({{"command", "listArtifacts"}, {"offset", 1}, {"count", 1}})["data"];
  EXPECT_EQ(all["devices"], 5);
  EXPECT_EQ(all["devices_without"], 2) << "gw-01 and gw-02 run nothing";
  EXPECT_EQ(all["totalCount"], 3);
  ASSERT_EQ(all["artifacts"].size(), 1U);
  EXPECT_EQ(fixture_.command({{"command", "listArtifacts"}, {"product", "other"}})["data"]["devices"], 0);
  EXPECT_NE(error_of(fixture_.command({{"command", "listArtifacts"}, {"groups", "plant-8"}})).find("invalid_argument"),
            std::string::npos);
}

TEST_F(Control, ListsDevicesByGroupAndPage) {
  FakeDevice elsewhere("gw-03", 102);
  elsewhere.groups = {group_path("plant-8")};
  fixture_.hello(elsewhere);
  fixture_.settle();
  const auto all = fixture_.command({{"command", "listDevices"}, {"offset", 1}, {"count", 1}})["data"];
  EXPECT_EQ(all["totalCount"], 3);
  ASSERT_EQ(all["devices"].size(), 1U);
  EXPECT_EQ(all["devices"][0]["device"], "gw-02");
  EXPECT_FALSE(all["devices"][0].contains("public_key"));
  const auto plant = fixture_.command({{"command", "listDevices"}, {"group", "plant-7"}, {"verbose", true}})["data"];
  EXPECT_EQ(plant["totalCount"], 2);
  EXPECT_EQ(plant["devices"][0]["public_key"], to_hex(one_.key.public_key().bytes));
}

TEST_F(Control, AnswersStayBelowThePacketLimitOfOtherBrokers) {
  for (int i = 0; i < 600; ++i) {
    FakeDevice device("device-with-a-rather-long-name-" + std::to_string(i), 50);
    fixture_.hello(device);
  }
  fixture_.settle();
  const auto data = fixture_.command({{"command", "listDevices"}, {"count", 1'000}, {"verbose", true}})["data"];
  EXPECT_EQ(data["totalCount"], 602);
  EXPECT_LT(data["count"], 602);
  EXPECT_GT(data["count"], 10);
  EXPECT_EQ(data["count"], data["devices"].size());
  EXPECT_LE(fixture_.broker().on(fixture_.topics().control_response()).back().payload.size(), limits::kMessageBytesMax);
}

TEST_F(Control, GetDeviceShowsADevicesState) {
  const auto data = fixture_.command({{"command", "getDevice"}, {"device", "gw-02"}})["data"];
  EXPECT_EQ(data["online"], true);
  EXPECT_EQ(data["groups"][0], "plant-7/line-a");
  EXPECT_EQ(data["running"], nullptr);
  EXPECT_EQ(data["target"], rollout_.short_hex());
  EXPECT_EQ(data["last_reports"][0]["code"], "no_space");
  EXPECT_EQ(data["rollouts"][0]["rollout"], rollout_.short_hex());
  EXPECT_NE(error_of(fixture_.command({{"command", "getDevice"}, {"device", "nobody"}})).find("not_found"),
            std::string::npos);
}

TEST_F(Control, PausesResumesAndAbortsDurably) {
  const auto act = [&](const char* name) {
    return fixture_.command({{"command", name}, {"rollout", rollout_.short_hex()}});
  };
  EXPECT_EQ(act("pauseRollout")["data"]["state"], "paused");
  EXPECT_EQ(fixture_.gate("plant-7")->state, wire::GateState::paused);
  EXPECT_EQ(fixture_.gate("plant-7")->issue, 2U);
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(fixture_.gate("plant-7")->state, wire::GateState::paused);
  EXPECT_EQ(fixture_.status(rollout_)["state"], "paused");
  EXPECT_EQ(act("resumeRollout")["data"]["state"], "active");
  EXPECT_EQ(fixture_.gate("plant-7")->state, wire::GateState::open);
  EXPECT_EQ(act("abortRollout")["data"]["state"], "aborted");
  EXPECT_EQ(fixture_.gate("plant-7")->state, wire::GateState::aborted);
  EXPECT_NE(error_of(act("resumeRollout")).find("refused"), std::string::npos);
  EXPECT_NE(error_of(act("pauseRollout")).find("refused"), std::string::npos);
}

TEST_F(Control, AnswersThatChangeSomethingWaitForTheStore) {
  const auto topic = fixture_.topics().control_response();
  const auto before = fixture_.broker().on(topic).size();
  const auto request = R"({"commands":[{"command":"pauseRollout","rollout":")" + rollout_.short_hex() + R"("}]})";
  fixture_.service().on_control({"op-1", "", true}, request, fixture_.now());
  EXPECT_EQ(fixture_.broker().on(topic).size(), before);
  EXPECT_EQ(fixture_.gate("plant-7")->issue, 1U);
  fixture_.settle();
  EXPECT_EQ(fixture_.broker().on(topic).size(), before + 1);
  EXPECT_EQ(fixture_.gate("plant-7")->issue, 2U);
}

TEST_F(Control, GetPackNamesWhatIsMissing) {
  EXPECT_EQ(fixture_.command({{"command", "getPack"}, {"pack", pack_.id.hex()}})["data"]["complete"], true);
  const auto partial = make_pack(2);
  fixture_.put_directory(partial);
  fixture_.settle();
  fixture_.put_chunk(partial, 1);
  fixture_.settle();
  const auto data = fixture_.command({{"command", "getPack"}, {"pack", partial.id.hex()}})["data"];
  EXPECT_EQ(data["complete"], false);
  EXPECT_EQ(data["missing_count"], 4);
  EXPECT_EQ(data["missing"][0]["first"], 0);
  EXPECT_EQ(data["missing"][1]["first"], 2);
  EXPECT_EQ(data["missing"][1]["count"], 3);
  EXPECT_NE(error_of(fixture_.command({{"command", "getPack"}, {"pack", "12"}})).find("invalid_argument"),
            std::string::npos);
}

TEST_F(Control, OnlyOperatorsMayCommand) {
  fixture_.options().operators = {"alice"};
  ASSERT_TRUE(fixture_.restart().has_value());
  const std::string request = R"({"commands":[{"command":"forgetDevice","device":"gw-01"}]})";
  EXPECT_NE(error_of(fixture_.control(request, {"x", "mallory", true})["responses"][0]).find("refused"),
            std::string::npos);
  EXPECT_NE(error_of(fixture_.control(request, {"x", "alice", false})["responses"][0]).find("refused"),
            std::string::npos);
  EXPECT_EQ(fixture_.control(R"({"commands":[{"command":"listDevices"}]})",
                             {"x", "alice", true})["responses"][0]["data"]["totalCount"],
            2);
}

TEST_F(Control, WhatOperatorsDidIsInTheHistory) {
  fixture_.options().operators = {"alice"};
  ASSERT_TRUE(fixture_.restart().has_value());
  const auto say = [&](const std::string& verb) {
    const auto request = nlohmann::json{{"commands", {{{"command", verb}, {"rollout", rollout_.short_hex()}}}}};
    return fixture_.control(request.dump(), {"x", "alice", true})["responses"][0];
  };
  EXPECT_EQ(say("pauseRollout")["data"]["state"], "paused");
  EXPECT_EQ(say("pauseRollout")["data"]["state"], "paused");
  EXPECT_EQ(say("resumeRollout")["data"]["state"], "active");
  EXPECT_NE(error_of(say("revertRollout")).find("revert_allowed"), std::string::npos);
  EXPECT_NE(error_of(say("approveRollout")).find("it is the last one"), std::string::npos);
  EXPECT_FALSE(say("retryRollout").contains("error"));
  const auto request =
      nlohmann::json{{"commands", {{{"command", "getRollout"}, {"rollout", rollout_.short_hex()}, {"history", true}}}}};
  const auto events = fixture_.control(request.dump(), {"x", "alice", true})["responses"][0]["data"]["events"];
  ASSERT_EQ(events.size(), 5U) << events.dump();
  EXPECT_EQ(events[1]["what"], "opened wave 1 of 1: 0 devices");
  EXPECT_EQ(events[2]["who"], "alice");
  EXPECT_EQ(events[2]["what"], "paused");
  EXPECT_EQ(events[3]["what"], "resumed");
  EXPECT_EQ(events[4]["what"], "let 1 device that had failed, or refused, try again");
}

TEST_F(Control, ADevicesReportsAreInItsHistory) {
  for (int i = 0; i < 30; ++i) {
    fixture_.report(one_, rollout_, i % 2 == 0 ? Step::fetching : Step::staging);
    fixture_.settle();
  }
  const auto last = fixture_.command({{"command", "getDevice"}, {"device", "gw-01"}})["data"]["last_reports"];
  ASSERT_EQ(last.size(), 8U);
  EXPECT_EQ(last.back()["sequence"], 30);
  const auto all =
      fixture_.command({{"command", "getDevice"}, {"device", "gw-01"}, {"history", true}})["data"]["last_reports"];
  ASSERT_EQ(all.size(), 30U);
  EXPECT_EQ(all[0]["sequence"], 1);
}

TEST_F(Control, GroupsAreATreeWithWhatRuns) {
  const auto groups = fixture_.command({{"command", "listGroups"}})["data"];
  ASSERT_EQ(groups["totalCount"], 2) << groups.dump();
  EXPECT_EQ(groups["groups"][0]["group"], "plant-7");
  EXPECT_EQ(fixture_.command({{"command", "listGroups"}, {"prefix", "nowhere"}})["data"]["totalCount"], 0);
}

// --- docs ---------------------------------------------------------------------------------------------

std::string read_page(const std::string& name) {
  std::ifstream in(std::string(INSTAR_SOURCE_DIR) + "/docs/formats/" + name);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The JSON blocks of a page, in order.
std::vector<nlohmann::json> blocks(const std::string& page) {
  std::vector<nlohmann::json> out;
  std::size_t at = 0;
  while ((at = page.find("```json\n", at)) != std::string::npos) {
    const auto end = page.find("```", at + 8);
    out.push_back(nlohmann::json::parse(page.substr(at + 8, end - at - 8), nullptr, false));
    EXPECT_FALSE(out.back().is_discarded());
    at = end;
  }
  return out;
}

// Same keys at every level: what differs between the page's example and this run are values.
void expect_same_shape(const nlohmann::json& page, const nlohmann::json& real, const std::string& where) {
  ASSERT_EQ(page.type_name(), std::string(real.type_name())) << where;
  if (page.is_object()) {
    for (const auto& [key, value] : page.items())
      EXPECT_TRUE(real.contains(key)) << where << "/" << key << " is in the page only";
    for (const auto& [key, value] : real.items()) {
      EXPECT_TRUE(page.contains(key)) << where << "/" << key << " is not in the page";
      if (page.contains(key)) expect_same_shape(page[key], value, where + "/" + key);
      if (key == "format") {
        EXPECT_EQ(page.value(key, nlohmann::json()), value) << where << "/" << key;
      }
    }
  }
  if (page.is_array() && !page.empty() && !real.empty()) expect_same_shape(page[0], real[0], where + "/0");
}

TEST_F(Control, StatusPageShowsWhatIsPublished) {
  const auto page = blocks(read_page("status.md"));
  ASSERT_EQ(page.size(), 2U);
  fixture_.tick(1'000);
  fixture_.settle();
  expect_same_shape(page[0], fixture_.status(rollout_), "status");
  fixture_.forget_published();
  const auto old = make_manifest(pack_, 1, {group_path("plant-7"), group_path("plant-9")});
  fixture_.publish(old);
  const auto refusals = fixture_.broker().on(fixture_.topics().status(rollout_of(old).short_hex()));
  ASSERT_EQ(refusals.size(), 1U);
  expect_same_shape(page[1], nlohmann::json::parse(as_text(refusals[0].payload)), "refused");
}

TEST_F(Control, ControlPageShowsWhatIsAnswered) {
  one_.running = wire::RevisionInfo{"gateway-2", "1.0", 0, rollout_, {ArtifactId(rollout_)}};
  one_.last_sequence = 0;
  fixture_.hello(one_);
  fixture_.report(one_, rollout_, Step::refused);
  fixture_.settle();
  const auto partial = make_pack(2);
  fixture_.put_directory(partial);
  fixture_.settle();
  const auto page = blocks(read_page("control.md"));
  ASSERT_GE(page.size(), 8U);
  ASSERT_EQ(page.size() % 2, 0U) << "requests and answers in turn";
  for (std::size_t i = 0; i < page.size(); i += 2) {
    auto request = page[i];
    for (auto& command : request["commands"]) {
      if (command.contains("rollout")) command["rollout"] = rollout_.short_hex();
      if (command.contains("pack")) command["pack"] = partial.id.hex();
      if (command.contains("device")) command["device"] = "gw-01";
    }
    expect_same_shape(page[i + 1], fixture_.control(request.dump()), request.dump());
  }
}

}  // namespace
}  // namespace instar::broker
