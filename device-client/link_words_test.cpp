#include "device-client/link_words.hpp"

#include <gtest/gtest.h>

#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

mqtt::Event fault(mqtt::Fault fault, std::string words) {
  return {mqtt::EventKind::explained, {}, std::move(words), fault};
}

Now at(std::int64_t seconds) {
  return {{1'700'000'000'000 + seconds * 1'000}, {seconds * 1'000}};
}

class LinkWordsTest : public testing::Test {
 protected:
  [[nodiscard]] std::optional<LinkRecord> on_disk() const {
    const auto line = files::read_file(link_path(folder_.path()), 10'000);
    if (!line) return std::nullopt;
    auto record = parse_link(as_text(*line));
    return record ? std::optional(*record) : std::nullopt;
  }

  files::TemporaryFolder folder_;
  LinkWords words_{folder_.path()};
};

TEST_F(LinkWordsTest, ACauseIsLoggedOnceAndThenCountedWhateverTheTimeInIt) {
  words_.disconnected("closed", at(0));
  EXPECT_EQ(words_.explained(fault(mqtt::Fault::certificate_expired, "expired; it is 12:00"), at(0)),
            "expired; it is 12:00");
  EXPECT_EQ(words_.explained(fault(mqtt::Fault::certificate_expired, "expired; it is 12:01"), at(60)), std::nullopt);
  EXPECT_EQ(words_.explained(fault(mqtt::Fault::certificate_expired, "expired; it is 12:10"), at(600)),
            "still: expired; it is 12:10 (3 times in 10 min)");
  EXPECT_TRUE(words_.explained(fault(mqtt::Fault::refused, "refused"), at(601)).has_value());
}

TEST_F(LinkWordsTest, AConnectionThatDoesNotLastIsNoNews) {
  for (int i = 0; i < 5; ++i) {
    words_.connected(at(i * 10));
    words_.disconnected("lost", at(i * 10 + 1));
    EXPECT_EQ(words_.explained(fault(mqtt::Fault::packet_too_large, "too large"), at(i * 10 + 1)).has_value(), i == 0);
  }
  words_.connected(at(100));
  words_.disconnected("lost", at(200));
  EXPECT_TRUE(words_.explained(fault(mqtt::Fault::packet_too_large, "too large"), at(200)).has_value());
}

TEST_F(LinkWordsTest, NothingFoundIsNotLogged) {
  EXPECT_EQ(words_.explained(fault(mqtt::Fault::unknown, ""), at(0)), std::nullopt);
}

TEST_F(LinkWordsTest, TheFileSaysHowItStands) {
  EXPECT_FALSE(on_disk().has_value());
  words_.disconnected("closed", at(0));
  static_cast<void>(words_.explained(fault(mqtt::Fault::refused, "nobody \"listens\""), at(1)));
  for (int i = 2; i < 5; ++i) words_.disconnected("closed", at(i));
  ASSERT_TRUE(on_disk().has_value());
  EXPECT_FALSE(on_disk()->connected);
  EXPECT_EQ(on_disk()->since, at(0).wall);
  EXPECT_EQ(on_disk()->failure, "nobody \"listens\"");
  words_.connected(at(10));
  EXPECT_TRUE(on_disk()->connected);
  EXPECT_EQ(on_disk()->since, at(10).wall);
  EXPECT_EQ(on_disk()->failure, "nobody \"listens\"") << "the last one stays";
  EXPECT_EQ(*on_disk(), words_.record());
}

TEST_F(LinkWordsTest, TheSameFailureDoesNotWriteTheFlashAgain) {
  words_.disconnected("closed", at(0));
  const auto first = on_disk();
  for (int i = 1; i < 500; ++i) words_.disconnected("closed", at(i));
  EXPECT_EQ(on_disk(), first);
  words_.disconnected("closed", at(700));
  EXPECT_EQ(on_disk()->failures, 501U) << "but now and then it does";
}

TEST_F(LinkWordsTest, WhatIsNoRecordIsRefused) {
  EXPECT_FALSE(parse_link("").has_value());
  EXPECT_FALSE(parse_link("[1]").has_value());
  EXPECT_FALSE(parse_link("{}")->connected);
}

}  // namespace
}  // namespace instar::device
