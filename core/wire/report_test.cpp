#include <gtest/gtest.h>

#include "core/artifact/varint.hpp"
#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "core/wire/testing/examples.hpp"

namespace instar::wire {
namespace {

using artifact::append_text;
using artifact::append_varint;

// What a device sends: signed.
std::size_t sent_bytes(const Report& report) {
  return seal(trust::Kind::report, encode(report), examples::key(examples::kDeviceKey)).size();
}

void expect_refused(ByteView bytes, Code code, std::string_view says) {
  const auto decoded = decode_report(bytes);
  ASSERT_FALSE(decoded.has_value()) << says;
  EXPECT_EQ(decoded.error().code, code) << decoded.error().message;
  EXPECT_NE(decoded.error().message.find(says), std::string::npos) << decoded.error().message;
}

// Refused by the change, since the example itself is taken.
void expect_broken(void (*change)(Report&), Code code, std::string_view says) {
  auto report = examples::report();
  change(report);
  expect_refused(encode(report), code, says);
}

void expect_back(const Report& report) {
  const auto bytes = encode(report);
  const auto back = decode_report(bytes);
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(encode(*back), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    expect_refused(ByteView(bytes).first(size), Code::malformed, "report: ");
}

// Fields that our encoder would bring within their bounds.
struct Raw {
  std::string reason = {};
  std::uint64_t planned = 0;
  std::uint64_t fetched = 0;
  std::uint64_t full = 0;
  std::uint64_t attempt = 1;
  std::uint64_t code = 0;
  std::uint64_t device_ms = 0;
};

Bytes written(const Raw& raw) {
  Bytes out{1};
  append_varint(out, 1);
  append_text(out, "gw-01");
  out.insert(out.end(), {static_cast<std::uint8_t>(Step::fetching), 0});
  out.insert(out.end(), 32, 7);
  append_varint(out, raw.attempt);
  append_varint(out, raw.code);
  append_text(out, raw.reason);
  out.push_back(0);
  for (const auto number : {raw.planned, raw.fetched, raw.full, std::uint64_t{0}, std::uint64_t{0}, raw.device_ms})
    append_varint(out, number);
  return out;
}

TEST(ReportForm, RoundTripAndACutOneIsRefused) {
  expect_back(examples::report());
  Report least;
  least.device = examples::device();
  least.sequence = 1;
  expect_back(least);
  EXPECT_TRUE(decode_report(encode(least))->rollout.is_zero());
  EXPECT_FALSE(decode_report(encode(least))->running.has_value());
}

TEST(ReportForm, WhatRunsMayBeTheRollout) {
  auto report = examples::report();
  const auto of_another = encode(report).size();
  report.running->manifest = report.rollout;
  expect_back(report);
  EXPECT_EQ(decode_report(encode(report))->running, report.running);
  EXPECT_EQ(encode(report).size(), of_another - 32) << "the hash is said once";
}

TEST(ReportForm, FlagsAreKeptApart) {
  auto report = examples::report();
  for (const bool again : {false, true}) {
    for (const bool asks : {false, true}) {
      for (const bool runs : {false, true}) {
        report.again = again;
        report.asks_start = asks;
        report.running = runs ? examples::report().running : std::nullopt;
        const auto back = decode_report(encode(report)).value();
        EXPECT_EQ(back.again, again);
        EXPECT_EQ(back.asks_start, asks);
        EXPECT_EQ(back.running, report.running);
      }
    }
  }
}

TEST(ReportForm, WhatALaterVersionAppendsIsPassedOver) {
  const auto bytes = encode(examples::report());
  auto later = bytes;
  later.insert(later.end(), {1, 2, 3});
  ASSERT_TRUE(decode_report(later).has_value());
  EXPECT_EQ(encode(*decode_report(later)), bytes);
  auto of_format_2 = bytes;
  of_format_2[0] = 2;
  expect_refused(of_format_2, Code::unsupported, "report: format is 2: made by a newer version; update");
  of_format_2[0] = 0;
  expect_refused(of_format_2, Code::malformed, "report: format");
}

TEST(ReportForm, BrokenFieldsAreRefused) {
  expect_broken([](Report& r) { r.device = DeviceId{}; }, Code::malformed, "report: device");
  expect_broken([](Report& r) { r.sequence = 0; }, Code::malformed, "report: sequence");
  expect_broken([](Report& r) { r.step = static_cast<Step>(255); }, Code::unsupported, "report: step is 255");
  expect_broken([](Report& r) { r.pack_kind = static_cast<artifact::PackKind>(3); }, Code::unsupported,
                "report: pack_kind is 3");
  expect_broken([](Report& r) { r.running->release = "a/b"; }, Code::malformed, "report: running: release");
  expect_broken([](Report& r) { r.running->product = "a.b"; }, Code::malformed, "report: running: product");
  expect_broken([](Report& r) { r.running->product.assign(65, 'x'); }, Code::too_large, "report: running: product");
  expect_broken([](Report& r) { r.running->artifacts.resize(17); }, Code::too_large, "report: running: artifacts");
  expect_refused({}, Code::malformed, "report: size");
  expect_refused(Bytes(limits::kReportBytesMax + 1, 1), Code::too_large, "report: size");
}

// The broker adds them up. Our own encoder keeps to the bound.
TEST(ReportForm, NumbersOfBytesHaveABound) {
  constexpr auto kMost = limits::kReportedBytesMax;
  EXPECT_TRUE(decode_report(written({.planned = kMost, .fetched = kMost, .full = kMost})).has_value());
  for (const std::uint64_t bytes : {kMost + 1, std::uint64_t{1} << 63, UINT64_MAX}) {
    expect_refused(written({.planned = bytes}), Code::too_large, "report: bytes_planned");
    expect_refused(written({.fetched = bytes}), Code::too_large, "report: bytes_fetched");
    expect_refused(written({.full = bytes}), Code::too_large, "report: bytes_full");
  }
  auto own = examples::report();
  own.bytes_planned = own.bytes_fetched = own.bytes_full = UINT64_MAX;
  EXPECT_EQ(decode_report(encode(own)).value().bytes_full, kMost);
}

TEST(ReportForm, TextsAndNumbersAreCheckedAtTheReceiverToo) {
  EXPECT_TRUE(decode_report(written({.reason = "fine", .attempt = UINT32_MAX, .code = UINT16_MAX})).has_value());
  expect_refused(written({.reason = "\x1b[2J"}), Code::malformed, "report: reason");
  expect_refused(written({.reason = "\xc0\xaf"}), Code::malformed, "report: reason");
  expect_refused(written({.reason = std::string(1'025, 'x')}), Code::too_large, "report: reason (bytes)");
  expect_refused(written({.attempt = std::uint64_t{UINT32_MAX} + 1}), Code::too_large, "report: attempt");
  expect_refused(written({.code = UINT16_MAX + 1}), Code::too_large, "report: code");
  expect_refused(written({.device_ms = UINT64_MAX}), Code::too_large, "report: device_ms");
  expect_refused(written({.device_ms = std::uint64_t{limits::kWallMsMax} + 1}), Code::too_large, "report: device_ms");
}

// What a report costs on the wire; docs/formats/report.md has the table.
TEST(ReportForm, FitsInto256BytesWithItsSignature) {
  auto report = examples::report();
  report.device = DeviceId::parse("gateway-17-4f21c9").value();
  report.sequence = 1'000;
  report.bytes_planned = report.bytes_fetched = report.bytes_full = std::uint64_t{1} << 34;
  report.downtime_ms = report.switch_ms = 1'000'000;
  report.reason.assign(80, 'x');
  report.running.reset();
  EXPECT_LE(sent_bytes(report), 256U) << "with a sentence of a reason";
  report.reason.clear();
  report.running = examples::running();
  report.running->manifest = report.rollout;
  EXPECT_LE(sent_bytes(report), 256U) << "of a commit";
}

}  // namespace
}  // namespace instar::wire
