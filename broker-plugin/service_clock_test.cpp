// The broker's own clock: in doubt at the start, after a jump, against the documents that operators sign.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/trust/envelope.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;
constexpr std::int64_t kYearsMs = 7'300LL * 24 * kHourMs;

class ServiceClock : public testing::Test {
 protected:
  void start() {
    ASSERT_TRUE(fixture_.start().has_value());
    fixture_.settle();
  }
  void restart() {
    ASSERT_TRUE(fixture_.restart().has_value());
    fixture_.settle();
  }
  // Signed now by a machine whose clock differs by so much.
  ManifestId publish(std::uint64_t sequence, std::int64_t ahead_ms = 0) {
    fixture_.upload(pack_);
    auto manifest = make_manifest(pack_, sequence);
    manifest.issued = fixture_.now().wall + ahead_ms;
    EXPECT_EQ(fixture_.publish(manifest), Verdict::consume);
    fixture_.settle();
    return rollout_of(manifest);
  }
  [[nodiscard]] std::string waits_for(const ManifestId& rollout) {
    return fixture_.status(rollout).value("waits_for", "");
  }
  [[nodiscard]] std::optional<WallMs> saved() {
    const auto value = fixture_.store().durable(storage::Column::meta, std::string(storage::kClockKey));
    return value.has_value() ? storage::parse_clock_value(*value) : std::nullopt;
  }
  ServiceFixture fixture_;
  PackFixture pack_ = make_pack(1);
};

TEST_F(ServiceClock, YearsAheadAtTheStartItSignsNothingUntilItIsPutRight) {
  start();
  const auto rollout = publish(1);
  ASSERT_TRUE(fixture_.gate("plant-7").has_value());
  fixture_.set_clock(kYearsMs);
  restart();
  EXPECT_TRUE(fixture_.broker().logged("the broker's clock is in doubt: it says 2045-"));
  EXPECT_FALSE(fixture_.gate("plant-7").has_value());
  EXPECT_THAT(waits_for(rollout), HasSubstr("the broker's clock, which is in doubt: it says 2045-"));
  const auto answer = fixture_.command({{"command", "listRollouts"}})["data"];
  EXPECT_EQ(answer["clock"]["ok"], false);
  EXPECT_THAT(answer["clock"]["reason"].get<std::string>(), HasSubstr("7300 days after this broker last saw the time"));
  EXPECT_EQ(answer["time_ms"], fixture_.now().wall.value);
  fixture_.tick(2 * kHourMs);
  fixture_.settle();
  EXPECT_LT(saved()->value, fixture_.now().wall.value - kYearsMs) << "such a time is not kept";

  fixture_.set_clock(-kYearsMs);
  fixture_.tick(1'000);
  fixture_.settle();
  EXPECT_TRUE(fixture_.broker().logged("in doubt no more"));
  ASSERT_TRUE(fixture_.gate("plant-7").has_value());
  EXPECT_LE(fixture_.gate("plant-7")->fresh, fixture_.now().wall);
  EXPECT_EQ(waits_for(rollout), "");
  EXPECT_EQ(fixture_.command({{"command", "getVersion"}})["data"]["clock"]["ok"], true);
}

TEST_F(ServiceClock, In1970ItTakesARolloutAndWaits) {
  fixture_.set_clock(-fixture_.now().wall.value + 1'000);
  start();
  const auto manifest = make_manifest(pack_, 1);
  fixture_.upload(pack_);
  EXPECT_EQ(fixture_.publish(manifest), Verdict::consume);
  fixture_.tick(1'000);
  fixture_.settle();
  EXPECT_FALSE(fixture_.gate("plant-7").has_value());
  EXPECT_THAT(waits_for(rollout_of(manifest)), HasSubstr("before its root document was signed"));
  fixture_.set_clock(manifest.issued.value);
  fixture_.tick(1'000);
  fixture_.settle();
  ASSERT_TRUE(fixture_.gate("plant-7").has_value());
  EXPECT_GE(fixture_.gate("plant-7")->wave_opened[0], manifest.issued);
}

TEST_F(ServiceClock, AReleaseSignedByAClockThatAgreesPutsItOutOfDoubt) {
  fixture_.set_clock(500LL * 24 * kHourMs);
  start();
  EXPECT_TRUE(fixture_.broker().logged("in doubt"));
  const auto rollout = publish(1, -2 * kMinuteMs);
  fixture_.tick(1'000);
  fixture_.settle();
  EXPECT_TRUE(fixture_.gate("plant-7").has_value());
  EXPECT_EQ(waits_for(rollout), "");
  restart();
  EXPECT_FALSE(fixture_.broker().logged("in doubt")) << "and that is kept";
}

TEST_F(ServiceClock, AJumpHoldsGatesUntilItIsTakenBack) {
  start();
  publish(1);
  fixture_.set_clock(2 * kHourMs);
  fixture_.tick();
  EXPECT_TRUE(fixture_.broker().logged("after it went forward by 2 h at once"));
  const auto second = publish(2, -2 * kHourMs);
  fixture_.tick(1'000);
  fixture_.settle();
  EXPECT_EQ(fixture_.gate("plant-7")->sequence, 1U);
  EXPECT_THAT(waits_for(second), HasSubstr("in doubt"));
  fixture_.set_clock(-2 * kHourMs);
  fixture_.tick(1'000);
  fixture_.settle();
  EXPECT_EQ(fixture_.gate("plant-7")->sequence, 2U);
}

TEST_F(ServiceClock, AJumpThatNobodyTakesBackIsBelievedAfterAnHour) {
  start();
  publish(1);
  fixture_.set_clock(2 * kHourMs);
  fixture_.tick();
  publish(2, -2 * kHourMs);
  fixture_.tick(kHourMs);
  fixture_.settle();
  EXPECT_EQ(fixture_.gate("plant-7")->sequence, 2U);
}

TEST_F(ServiceClock, ATrustedOneIsBelievedAndTold) {
  start();
  publish(1);
  fixture_.options().clock.trust = true;
  fixture_.set_clock(kYearsMs);
  restart();
  EXPECT_TRUE(fixture_.broker().logged("believed all the same"));
  EXPECT_TRUE(fixture_.gate("plant-7").has_value());
}

TEST_F(ServiceClock, AReleaseDatedAheadWaitsForItsTime) {
  start();
  const auto rollout = publish(1, kHourMs);
  EXPECT_FALSE(fixture_.gate("plant-7").has_value());
  EXPECT_THAT(waits_for(rollout), HasSubstr("60 min ahead of the broker's clock"));
  EXPECT_TRUE(fixture_.broker().logged("60 min ahead of the broker's clock"));
  fixture_.tick(50 * kMinuteMs);
  fixture_.settle();
  EXPECT_TRUE(fixture_.gate("plant-7").has_value());
}

TEST_F(ServiceClock, ItIsSavedOnceAnHour) {
  start();
  const auto first = fixture_.now().wall;
  EXPECT_EQ(saved(), first);
  fixture_.tick(59 * kMinuteMs);
  fixture_.settle();
  EXPECT_EQ(saved(), first);
  fixture_.tick(kMinuteMs);
  fixture_.settle();
  EXPECT_EQ(saved(), fixture_.now().wall);
}

TEST_F(ServiceClock, InDoubtItHoldsDatesAgainstTheLastTimeThatItBelieved) {
  start();
  fixture_.set_clock(kYearsMs);
  restart();
  fixture_.upload(pack_);
  auto manifest = make_manifest(pack_, 1);
  manifest.expires = manifest.issued + 24 * kHourMs;
  EXPECT_EQ(fixture_.publish(manifest), Verdict::consume) << "it cannot tell that this has expired";
  EXPECT_FALSE(fixture_.gate("plant-7").has_value());
}

TEST_F(ServiceClock, AWrongTimeThatWasSavedEndsNoReleaseThatARightClockHasSigned) {
  constexpr std::int64_t kDayMs = 24 * kHourMs;
  fixture_.set_clock(200 * kDayMs);
  start();
  fixture_.tick(kHourMs);
  fixture_.settle();
  ASSERT_TRUE(saved().has_value());
  fixture_.set_clock(-200 * kDayMs);
  restart();
  EXPECT_TRUE(fixture_.broker().logged("in doubt"));
  fixture_.upload(pack_);
  auto manifest = make_manifest(pack_, 1);
  manifest.issued = fixture_.now().wall;
  manifest.expires = manifest.issued + 90 * kDayMs;
  EXPECT_EQ(fixture_.publish(manifest), Verdict::consume);
  fixture_.settle();
  fixture_.tick(1'000);
  fixture_.settle();
  EXPECT_TRUE(fixture_.gate("plant-7").has_value());
}

TEST_F(ServiceClock, ATimeThatWasSavedAheadEndsNothingThatExpires) {
  constexpr std::int64_t kAheadMs = 300LL * 24 * kHourMs;
  start();
  fixture_.set_clock(kAheadMs);
  restart();
  fixture_.settle();
  EXPECT_LT(saved()->value, fixture_.now().wall.value - kAheadMs / 2) << "not at once";
  fixture_.tick(kHourMs);
  fixture_.settle();
  ASSERT_EQ(saved(), fixture_.now().wall);
  fixture_.set_clock(-kAheadMs);
  restart();
  EXPECT_TRUE(fixture_.broker().logged("in doubt: it says"));
  fixture_.upload(pack_);
  auto manifest = make_manifest(pack_, 1);
  manifest.issued = fixture_.now().wall;
  manifest.expires = manifest.issued + 90 * 24 * kHourMs;
  EXPECT_EQ(fixture_.publish(manifest), Verdict::consume);
  fixture_.settle();
  fixture_.tick(1'000);
  fixture_.settle();
  EXPECT_TRUE(fixture_.gate("plant-7").has_value());
  EXPECT_EQ(saved(), fixture_.now().wall + -1'000) << "what was saved ahead is gone";
}

TEST_F(ServiceClock, ADevicesClockIsToldWithItsDistance) {
  start();
  FakeDevice device("gw-01");
  ++device.connect;
  auto hello = device.hello_message();
  hello.description.clock = wire::ClockState::free;
  hello.description.time = fixture_.now().wall + kHourMs;
  const auto payload = trust::seal(trust::Kind::hello, wire::encode(hello), device.key);
  ASSERT_EQ(fixture_.from(device, wire::TopicKind::device_hello, payload), Verdict::consume);
  fixture_.settle();
  fixture_.tick(kHourMs);
  const auto shown = fixture_.command({{"command", "getDevice"}, {"device", "gw-01"}})["data"];
  EXPECT_EQ(shown["clock"], "free");
  EXPECT_EQ(shown["time_ms"], hello.description.time.value);
  EXPECT_EQ(shown["clock_offset_ms"], -kHourMs) << "when it said so";
}

TEST_F(ServiceClock, AnExpiryIsToldWithBothTimes) {
  start();
  auto manifest = make_manifest(pack_, 1);
  manifest.expires = {1'760'000'000'000};
  fixture_.upload(pack_);
  EXPECT_EQ(fixture_.publish(manifest), Verdict::refuse);
  EXPECT_TRUE(
      fixture_.broker().logged("expired on 2025-10-09 08:53 UTC, and it is 2025-10-09 08:55 UTC by this broker's"));
}

}  // namespace
}  // namespace instar::broker
