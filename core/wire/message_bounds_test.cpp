// The bounds of the fields and the bound of the message fit together: what a device may say, it may say all at once.
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "core/wire/testing/examples.hpp"

namespace instar::wire {
namespace {

std::string longest_name(char fill, std::size_t number = 0) {
  auto name = std::to_string(number);
  name.insert(0, limits::kNameBytesMax - name.size(), fill);
  return name;
}

std::vector<GroupPath> most_groups() {
  std::vector<GroupPath> groups;
  for (std::size_t i = 0; i < limits::kGroupsMax; ++i) {
    const auto path = longest_name('g', i) + "/" + std::string(limits::kGroupBytesMax - limits::kNameBytesMax - 1, 'x');
    groups.push_back(examples::group(path));
    EXPECT_EQ(path.size(), limits::kGroupBytesMax);
  }
  return groups;
}

RevisionInfo largest_revision(std::string_view name) {
  RevisionInfo info;
  info.product = longest_name('p');
  info.release = longest_name('r');
  info.sequence = UINT64_MAX;
  info.manifest = examples::hash(name);
  for (std::size_t i = 0; i < limits::kArtifactsMax; ++i)
    info.artifacts.emplace_back(examples::hash(std::string(name) + std::to_string(i)));
  return info;
}

Hello largest_hello() {
  Hello hello = examples::hello();
  hello.device = DeviceId::parse(longest_name('d')).value();
  hello.attempt = hello.boot = hello.connect = UINT32_MAX;
  hello.last_sequence = hello.acked_sequence = hello.instance = UINT64_MAX;
  hello.token.assign(limits::kTokenBytesMax, 7);
  auto& description = hello.description;
  description.product = longest_name('p');
  description.groups = most_groups();
  description.architecture.assign(limits::kNameBytesMax, 'a');
  description.kernel.assign(limits::kNameBytesMax, 'k');
  description.client_version.assign(limits::kNameBytesMax, 'v');
  description.running = largest_revision("running");
  description.previous = largest_revision("previous");
  description.pack_formats.assign(limits::kPackFormatsMax, 33);
  description.degraded.assign(limits::kDegradedMax, std::string(limits::kDegradedBytesMax, 'x'));
  description.image_formats.assign(limits::kImageFormatsMax, ImageFormat::erofs);
  description.handlers.clear();
  for (std::size_t i = 0; i < limits::kHandlersMax; ++i) description.handlers.push_back(longest_name('h', i));
  return hello;
}

TEST(MessageBounds, AHelloWithAllThatADeviceMaySayIsTaken) {
  const auto hello = largest_hello();
  const auto payload = encode(hello);
  const auto back = decode_hello(payload);
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(back->description, hello.description) << "nothing of it was cut";
  // What comes later is added at the end: there is to be room for it.
  const auto sealed = seal(trust::Kind::hello, payload, examples::key(examples::kDeviceKey));
  EXPECT_LE(sealed.size() + 1'024, limits::kHelloBytesMax);
}

TEST(MessageBounds, ALongerTextOfADeviceIsCutAndNotRefused) {
  auto hello = examples::hello();
  hello.description.degraded = {std::string(3 * limits::kDegradedBytesMax, 'x')};
  const auto back = decode_hello(encode(hello));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(back->description.degraded[0].size(), limits::kDegradedBytesMax);
}

TEST(MessageBounds, AReportWithTheLongestReasonIsTaken) {
  auto report = examples::report();
  report.device = DeviceId::parse(longest_name('d')).value();
  report.reason.assign(limits::kTextBytesMax, 'x');
  const auto sealed = seal(trust::Kind::report, encode(report), examples::key(examples::kDeviceKey));
  EXPECT_LE(sealed.size(), limits::kReportBytesMax);
}

TEST(MessageBounds, AFetchOfTheMostRangesIsTaken) {
  auto fetch = examples::fetch();
  fetch.ranges.assign(limits::kFetchRangesMax, {1, 1, 0});
  EXPECT_LE(encode(fetch).size(), limits::kFetchBytesMax);
}

}  // namespace
}  // namespace instar::wire
