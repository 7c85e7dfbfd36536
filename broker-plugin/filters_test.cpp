// Lists of devices and of members, by what is asked for.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"

namespace instar::broker {
namespace {

using wire::Step;

class Filters : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fixture_.start().has_value());
    rollout_ = fixture_.release(1, pack_);
    for (auto* device : {&one_, &two_}) fixture_.hello(*device);
    ++worn_.connect;
    auto hello = worn_.hello_message();
    hello.description.degraded = {"the clock is not set"};
    fixture_.from(worn_, wire::TopicKind::device_hello,
                  trust::seal(trust::Kind::hello, wire::encode(hello), worn_.key));
    fixture_.settle();
    auto refused = two_.report_message(rollout_, Step::refused, ++two_.last_sequence);
    refused.code = Code::no_space;
    refused.reason = "needs 5 MB, has 3 MB";
    fixture_.from(two_, wire::TopicKind::device_report, two_.seal_report(refused));
    fixture_.settle();
  }

  nlohmann::json ask(nlohmann::json request, const nlohmann::json& more) {
    request.update(more);
    return fixture_.command(request);
  }
  nlohmann::json devices(const nlohmann::json& more) { return ask({{"command", "listDevices"}}, more); }
  nlohmann::json members(const nlohmann::json& more) {
    return ask({{"command", "getRollout"}, {"rollout", rollout_.short_hex()}, {"devices", true}}, more);
  }
  // The ids in the order of the answer, which counts these alone.
  static std::string names(const nlohmann::json& response, const char* field) {
    std::string out;
    const auto& rows = response["data"][field];
    for (const auto& row : rows) out += row["device"].get<std::string>() + " ";
    EXPECT_EQ(response["data"]["totalCount"], rows.size());
    return out;
  }
  static bool is_invalid(const nlohmann::json& response) {
    return response.value("error", std::string()).find("invalid_argument") != std::string::npos;
  }

  ServiceFixture fixture_;
  PackFixture pack_ = make_pack(1);
  FakeDevice one_{"gw-01"};
  FakeDevice two_{"gw-02", 101};
  FakeDevice worn_{"gw-03", 102};
  ManifestId rollout_;
};

TEST_F(Filters, DevicesByAPartOfTheirId) {
  EXPECT_EQ(names(devices({{"match", "w-0"}}), "devices"), "gw-01 gw-02 gw-03 ");
  EXPECT_EQ(names(devices({{"match", "-03"}}), "devices"), "gw-03 ");
  EXPECT_EQ(names(devices({{"match", "nobody"}}), "devices"), "");
  EXPECT_TRUE(is_invalid(devices({{"match", 3}})));
}

TEST_F(Filters, DevicesThatAreConnectedOrNot) {
  EXPECT_EQ(names(devices({{"online", true}}), "devices"), "gw-01 gw-02 gw-03 ");
  EXPECT_EQ(names(devices({{"online", false}}), "devices"), "");
  ASSERT_TRUE(fixture_.restart().has_value());
  EXPECT_EQ(names(devices({{"online", false}}), "devices"), "gw-01 gw-02 gw-03 ");
  EXPECT_TRUE(is_invalid(devices({{"online", "no"}})));
}

TEST_F(Filters, DevicesOnWhichSomethingIsDegraded) {
  EXPECT_EQ(names(devices({{"degraded", true}}), "devices"), "gw-03 ");
  EXPECT_EQ(names(devices({{"degraded", true}, {"match", "gw-01"}}), "devices"), "") << "all that is asked for holds";
}

TEST_F(Filters, PagesCountWhatIsAskedForAlone) {
  const auto page = devices({{"match", "gw-0"}, {"offset", 1}, {"count", 1}})["data"];
  EXPECT_EQ(page["totalCount"], 3);
  ASSERT_EQ(page["devices"].size(), 1U);
  EXPECT_EQ(page["devices"][0]["device"], "gw-02");
}

TEST_F(Filters, MembersByTheirState) {
  const auto refused = members({{"steps", {"failed", "refused"}}});
  EXPECT_EQ(names(refused, "members"), "gw-02 ");
  EXPECT_EQ(refused["data"]["counts"]["waiting"], 2) << "the sums are those of all";
  EXPECT_EQ(names(members({{"steps", {"committed"}}}), "members"), "");
  EXPECT_EQ(names(members({{"match", "gw-01"}}), "members"), "gw-01 ");
}

TEST_F(Filters, StatesThatAreNoneAreRefused) {
  using Json = nlohmann::json;
  const Json wrong[] = {Json::array({"idle"}), Json::array({3}), Json("failed"), Json::array()};
  for (const auto& steps : wrong) EXPECT_TRUE(is_invalid(members({{"steps", steps}}))) << steps;
}

}  // namespace
}  // namespace instar::broker
