#include "broker-plugin/complaints.hpp"

#include <gtest/gtest.h>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

TEST(Complaints, AreAllCountedAndAFewASecondAreLogged) {
  FakeBroker broker;
  const Log log(broker);
  Complaints complaints(log);
  const Error error{Code::refused, "not you"};
  for (int i = 0; i < 25; ++i) {
    complaints.add("a message on x", error, {1'000 + i});
    complaints.assert_invariants();
  }
  EXPECT_EQ(complaints.count(), 25U);
  ASSERT_EQ(broker.lines.size(), static_cast<std::size_t>(limits::kComplaintsPerSecondMax));
  EXPECT_EQ(broker.lines[0], "4 refused a message on x: refused: not you");
  complaints.add("a message on x", error, {2'000});
  EXPECT_TRUE(broker.logged("15 more messages were refused"));
  complaints.assert_invariants();
}

TEST(ServiceLog, OneEntryIsOneLine) {
  FakeBroker broker;
  Log(broker).write(LogLevel::error, "a\nb\x7f");
  EXPECT_EQ(broker.lines, std::vector<std::string>{"3 a b "});
}

}  // namespace
}  // namespace instar::broker
