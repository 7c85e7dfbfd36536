#include "mqtt/fault.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace instar::mqtt {
namespace {

TEST(FaultTable, HasEachFaultOnceUnderItsOwnName) {
  std::set<std::string_view> names;
  int next = 1;
  for (const auto& entry : fault_table()) {
    EXPECT_EQ(static_cast<int>(entry.fault), next++);
    EXPECT_EQ(&entry_of(entry.fault), &entry);
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_FALSE(entry.sentence.empty());
    EXPECT_FALSE(entry.cure.empty());
    EXPECT_FALSE(entry.sentence.ends_with('.') || entry.cure.ends_with('.')) << entry.name;
    EXPECT_EQ(entry.cure.find('{'), std::string_view::npos) << "nothing is filled in there: " << entry.name;
  }
}

TEST(FaultTable, OnlyWhatPassesByItselfIsWorthWaitingFor) {
  EXPECT_FALSE(lasts(Fault::unknown));
  EXPECT_FALSE(lasts(Fault::refused));
  EXPECT_FALSE(lasts(Fault::no_plugin)) << "the broker may be slow";
  EXPECT_TRUE(lasts(Fault::certificate_expired));
  EXPECT_TRUE(lasts(Fault::packet_too_large));
}

TEST(Finding, SaysWhatWasSeenAndWhatMendsIt) {
  const auto finding = found(Fault::other_host, {{"host", "broker"}, {"names", "a, b"}, {"unused", "x"}});
  EXPECT_EQ(finding.sentence, "the broker's certificate is for a, b, not for broker");
  EXPECT_EQ(finding.text(), finding.sentence + ". " + std::string(entry_of(Fault::other_host).cure));
  EXPECT_EQ(found(Fault::other_host, {{"host", "x"}}).sentence, "the broker's certificate is for , not for x");
  EXPECT_EQ((Finding{Fault::unknown, "the connection was lost"}).text(), "the connection was lost");
}

// "docs/troubleshooting.md" is for people who search for what a program has said.
TEST(FaultTable, IsWhatThePageSays) {
  std::ifstream file(INSTAR_SOURCE_DIR "/docs/troubleshooting.md");
  std::ostringstream read;
  read << file.rdbuf();
  const auto page = read.str();
  for (const auto& entry : fault_table()) {
    const auto exit = entry.kind == FaultKind::no_connection ? "3" : entry.kind == FaultKind::not_allowed ? "4" : "6";
    const auto row = "| `" + std::string(entry.name) + "` | " + std::string(entry.sentence) + " | " +
                     std::string(entry.cure) + " | " + exit + " |\n";
    EXPECT_NE(page.find(row), std::string::npos) << "docs/troubleshooting.md lacks this row:\n" << row;
  }
}

}  // namespace
}  // namespace instar::mqtt
