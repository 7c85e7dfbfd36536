#include "publisher/console/table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "publisher/console/progress.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Table, AlignsColumns) {
  Table table;
  table.column("DEVICE");
  table.column("BYTES", Align::right);
  table.column("STATE");
  table.row({"box-1", "12", "committed"});
  table.row({"box-number-2", "1234567", ""});
  EXPECT_EQ(table.str(),
            "DEVICE          BYTES  STATE\n"
            "box-1              12  committed\n"
            "box-number-2  1234567\n");
}

TEST(Table, CountsCodePointsNotBytes) {
  Table table;
  table.column("A");
  table.column("B");
  table.row({"Zürich", "x"});
  table.row({"Berlin", "y"});
  EXPECT_EQ(table.str(), "A       B\nZürich  x\nBerlin  y\n");
}

TEST(Table, ReplacesControlCharacters) {
  Table table;
  table.column("NAME");
  table.row({"a\x1b[2J\nb\x7f"});
  EXPECT_EQ(table.str(), "NAME\na?[2J?b?\n");
}

TEST(Table, ReplacesWhatHidesOrTurnsTextAround) {
  Table table;
  table.column("NAME");
  table.row({"a\u202eb\u200bc\xff\u009b31m"});
  EXPECT_EQ(table.str(), "NAME\na???b???c???31m\n");
  Fields fields;
  fields.add("reason", "\u2066hidden\u2069");
  EXPECT_EQ(fields.str(), "reason:  ???hidden???\n");
}

TEST(Fields, AlignsValues) {
  Fields fields;
  fields.add("product", "gateway");
  fields.add("id", "1");
  fields.add("empty", "");
  EXPECT_EQ(fields.str(), "product:  gateway\nid:       1\nempty:\n");
}

TEST(ProgressLine, ShowsShareRateAndTimeLeft) {
  const auto line = progress_line("uploading", 12'000'000, 48'000'000, 4'000, 100);
  EXPECT_THAT(line, HasSubstr("uploading   25%"));
  EXPECT_THAT(line, HasSubstr("[######                  ]"));
  EXPECT_THAT(line, HasSubstr("12.0 MB of 48.0 MB"));
  EXPECT_THAT(line, HasSubstr("3.00 MB/s"));
  EXPECT_THAT(line, HasSubstr("12.0 s left"));
}

TEST(ProgressLine, ShowsNoRateAtTheStart) {
  EXPECT_THAT(progress_line("x", 1, 10, 100, 100), Not(HasSubstr("/s")));
  EXPECT_THAT(progress_line("x", 0, 10, 5'000, 100), Not(HasSubstr("left")));
}

TEST(ProgressLine, HandlesExtremeValues) {
  EXPECT_THAT(progress_line("x", 0, 0, 0, 100), HasSubstr("100%"));
  EXPECT_THAT(progress_line("x", 20, 10, 1'000, 100), HasSubstr("100%"));
  EXPECT_THAT(progress_line("x", 5, 10, 1'000, 10), Not(HasSubstr("[")));
}

TEST(Progress, IsSilentWithoutATerminal) {
  std::ostringstream out;
  Progress progress(out, false, "packing", {0});
  progress.update(10, 10, {1'000});
  progress.finish();
  EXPECT_EQ(out.str(), "");
}

TEST(Progress, DrawsAtMostTenTimesASecondAndRemovesItself) {
  std::ostringstream out;
  Progress progress(out, true, "packing", {0});
  progress.update(1, 10, {0});
  const auto first = out.str().size();
  progress.update(2, 10, {50});
  EXPECT_EQ(out.str().size(), first);
  progress.update(3, 10, {100});
  EXPECT_GT(out.str().size(), first);
  progress.finish();
  EXPECT_TRUE(out.str().ends_with("\r\x1b[K"));
}

}  // namespace
}  // namespace instar::publisher
