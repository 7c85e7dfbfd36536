#include "publisher/console/screen.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "publisher/console/table.hpp"

namespace instar::publisher {
namespace {

using testing::ElementsAre;

TEST(Wrap, BreaksAtBlanksOnly) {
  EXPECT_THAT(wrap("devices stay with what they run", 16), ElementsAre("devices stay", "with what they", "run"));
  EXPECT_THAT(wrap("devices stay with what they run", 16, 2), ElementsAre("devices stay", "  with what they", "  run"));
  EXPECT_THAT(wrap("exactly sixteen!", 16), ElementsAre("exactly sixteen!"));
  EXPECT_THAT(wrap("", 16), ElementsAre(""));
}

TEST(Wrap, BreaksAWordThatIsLongerThanALine) {
  EXPECT_THAT(wrap("0123456789ab cd", 5), ElementsAre("01234", "56789", "ab cd"));
  EXPECT_THAT(wrap("ab", 0), ElementsAre("a", "b")) << "it ends in any case";
}

TEST(Wrap, SaysThatLinesAreMissing) {
  EXPECT_THAT(wrap("one two three four", 9, 0, 2), ElementsAre("one two", "three fo…"));
  EXPECT_THAT(wrap("one two three", 7, 0, 1), ElementsAre("one tw…"));
}

TEST(Wrap, CountsCharactersNotBytes) {
  for (std::size_t columns = 1; columns < 30; ++columns) {
    for (const auto& line : wrap("Zürich größer ist, als der Rest überhaupt wäre", columns, 2)) {
      EXPECT_LE(display_width(line), columns) << columns;
      EXPECT_NE(static_cast<unsigned char>(line.empty() ? 'x' : line.front()) & 0xC0U, 0x80U) << "half a character";
    }
  }
}

TEST(CutTo, KeepsWhatFits) {
  EXPECT_EQ(cut_to("gateway", 7), "gateway");
  EXPECT_EQ(cut_to("gateway", 6), "gatew…");
  EXPECT_EQ(cut_to("gateway", 0), "");
}

TEST(Fit, ShowsAllWhereThereIsRoom) {
  EXPECT_EQ(fit({{0, {"head"}}, {2, {"a", "b"}}, {1, {"next"}}}, 10), "head\n\na\nb\n\nnext\n");
  EXPECT_EQ(fit({{0, {"head"}}, {1, {}}, {2, {"end"}}}, 10), "head\n\nend\n");
}

TEST(Fit, LeavesOutWhatMattersLeast) {
  const std::vector<ScreenPart> parts{{0, {"head", "state"}}, {2, {"a", "b", "c"}}, {1, {"next"}}};
  EXPECT_EQ(fit(parts, 7), "head\nstate\n\na\n… 2 more\n\nnext\n");
  EXPECT_EQ(fit(parts, 6), "head\nstate\n\n… 3 more\n\nnext\n");
  EXPECT_EQ(fit(parts, 4), "head\nstate\n\nnext\n");
  EXPECT_EQ(fit(parts, 2), "head\nstate\n");
  EXPECT_EQ(fit(parts, 1), "… 2 more\n");
  EXPECT_EQ(fit(parts, 0), "");
}

TEST(Fit, NeverTakesMoreLinesThanThereAre) {
  const std::vector<ScreenPart> parts{{0, {"1", "2", "3"}}, {3, {"4", "5"}}, {1, {"6"}}, {2, {"7", "8", "9"}}};
  for (std::size_t rows = 0; rows < 15; ++rows)
    EXPECT_LE(static_cast<std::size_t>(std::ranges::count(fit(parts, rows), '\n')), rows);
}

TEST(LiveScreen, DrawsInThePlaceOfWhatWasThere) {
  std::ostringstream out;
  LiveScreen screen(out);
  screen.draw("a\nb\n", {80, 24});
  EXPECT_EQ(out.str(), "a\nb\n") << "what stands above is left alone";
  out.str("");
  screen.draw("c\n", {80, 24});
  EXPECT_EQ(out.str(), "\x1b[2A\x1b[Jc\n");
  out.str("");
  screen.draw("d\n", {40, 24});
  EXPECT_EQ(out.str(), "\x1b[2J\x1b[Hd\n") << "a narrower terminal has broken the lines that were drawn";
  EXPECT_EQ(screen.size(), (ScreenSize{40, 24}));
}

TEST(ScreenSize, IsThatOfTheEnvironmentWhereStdoutIsNoTerminal) {
  // It may be one while a person runs the test.
  const int kept = ::dup(STDOUT_FILENO);
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::dup2(nowhere, STDOUT_FILENO), STDOUT_FILENO);
  ::setenv("COLUMNS", "40", 1);
  ::setenv("LINES", "12", 1);
  EXPECT_EQ(screen_size(), (ScreenSize{40, 12}));
  ::setenv("COLUMNS", "wide", 1);
  ::unsetenv("LINES");
  EXPECT_EQ(screen_size(), ScreenSize{});
  ::setenv("COLUMNS", "0", 1);
  EXPECT_EQ(screen_size(), ScreenSize{});
  ::unsetenv("COLUMNS");
  ::dup2(kept, STDOUT_FILENO);
  ::close(kept);
  ::close(nowhere);
}

TEST(ScreenSize, ADumbTerminalHasNoCursor) {
  const char* before = std::getenv("TERM");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("TERM", "dumb", 1);
  EXPECT_FALSE(can_move_cursor());
  ::unsetenv("TERM");
  EXPECT_FALSE(can_move_cursor());
  ::setenv("TERM", "xterm-256color", 1);
  EXPECT_TRUE(can_move_cursor());
  if (before != nullptr) ::setenv("TERM", kept.c_str(), 1);
}

}  // namespace
}  // namespace instar::publisher
