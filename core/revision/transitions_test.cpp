#include "core/revision/transitions.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace instar::revision {
namespace {

// The generated part of docs/states.md.
std::string tables() {
  std::ostringstream out;
  out << "| phase | what happens | next phase | who decides |\n|---|---|---|---|\n";
  for (const auto& one : kTransitions) {
    out << "| " << phase_name(one.from) << " | " << trigger_name(one.trigger) << " | " << phase_name(one.to) << " | "
        << owner_name(one.owner) << " |\n";
  }
  out << "\n| phase found in the state file | first action |\n|---|---|\n";
  for (const auto& one : kRestarts)
    out << "| " << phase_name(one.phase) << " | " << restart_action_name(one.action) << " |\n";
  return out.str();
}

std::string page(const std::string& path) {
  std::ifstream file(std::string(INSTAR_SOURCE_DIR) + "/docs/" + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The generated part of docs/pictures/states.dot: one edge from a phase to another, with all that leads there.
std::string edges() {
  const auto color = [](Owner owner) { return owner == Owner::broker ? "#0969da" : "#1a7f37"; };
  std::ostringstream out;
  out << "  // transitions\n";
  std::set<std::pair<Phase, Phase>> drawn;
  for (const auto& one : kTransitions) {
    if (!drawn.emplace(one.from, one.to).second) continue;
    std::string label;
    bool by_broker = true;
    for (const auto& other : kTransitions) {
      if (other.from != one.from || other.to != one.to) continue;
      if (!label.empty()) label += "<br/>";
      label.append("<font color=\"").append(color(other.owner)).append("\">");
      label.append(trigger_name(other.trigger)).append("</font>");
      by_broker = by_broker && other.owner == Owner::broker;
    }
    out << "  " << phase_name(one.from) << " -> " << phase_name(one.to) << " [label=<" << label << ">"
        << (by_broker ? ", color=\"#0969da\", style=dashed" : "") << "]\n";
  }
  out << "}\n";
  return out.str();
}

TEST(Transitions, AreThePictureThatPeopleSee) {
  const auto text = page("pictures/states.dot");
  const auto start = text.find("  // transitions\n");
  ASSERT_NE(start, std::string::npos) << edges();
  EXPECT_EQ(text.substr(start), edges())
      << "docs/pictures/states.dot ends with the edges of transitions.hpp; put these in, then: make pictures";
}

TEST(Transitions, AreThePageThatPeopleRead) {
  const auto text = page("states.md");
  const auto start = text.find("| phase |");
  ASSERT_NE(start, std::string::npos) << tables();
  EXPECT_EQ(text.substr(start), tables()) << "docs/states.md ends with the tables of transitions.hpp; put these in";
}

TEST(Transitions, AreUnambiguous) {
  std::set<std::pair<Phase, Trigger>> seen;
  for (const auto& one : kTransitions) {
    EXPECT_TRUE(seen.emplace(one.from, one.trigger).second) << phase_name(one.from) << " " << trigger_name(one.trigger);
  }
}

TEST(Transitions, LeaveNoPhaseWithoutAWayOutAndReachEach) {
  std::set<Phase> from;
  std::set<Phase> to;
  for (const auto& one : kTransitions) {
    from.insert(one.from);
    to.insert(one.to);
  }
  EXPECT_EQ(from.size(), kPhaseCount);
  EXPECT_EQ(to.size(), kPhaseCount);
}

TEST(Transitions, NameEveryTriggerAndUseIt) {
  std::set<Trigger> used;
  for (const auto& one : kTransitions) used.insert(one.trigger);
  for (std::size_t i = 0; i < kTriggerCount; ++i) {
    EXPECT_NE(trigger_name(static_cast<Trigger>(i)), "unknown");
    EXPECT_TRUE(used.contains(static_cast<Trigger>(i))) << trigger_name(static_cast<Trigger>(i));
  }
  EXPECT_EQ(trigger_name(static_cast<Trigger>(kTriggerCount)), "unknown");
}

TEST(Transitions, NothingSwitchesWithoutHavingBeenStaged) {
  for (const auto& one : kTransitions) {
    EXPECT_TRUE(one.to != Phase::trying || one.trigger == Trigger::staged);
    EXPECT_TRUE(one.to != Phase::committing || one.from == Phase::trying);
  }
}

TEST(Transitions, TheBrokerNeverMovesATryOrARollback) {
  for (const auto& one : kTransitions) {
    const bool switching =
        one.from == Phase::trying || one.from == Phase::rolling_back || one.from == Phase::committing;
    EXPECT_TRUE(!switching || one.owner == Owner::device);
  }
}

}  // namespace
}  // namespace instar::revision
