#include "core/artifact/entry_time.hpp"

#include <gtest/gtest.h>

#include "core/trust/digest.hpp"

namespace instar::artifact {
namespace {

Entry file_with(std::string_view content) {
  Entry entry;
  entry.path = "f";
  entry.content = trust::digest(as_bytes(content));
  return entry;
}

TEST(EntryTime, ChangesWithTheContentAlone) {
  Entry moved = file_with("1.0");
  moved.path = "g";
  moved.mode = 0755;
  EXPECT_EQ(time_by_content(moved), time_by_content(file_with("1.0")));
  EXPECT_NE(time_by_content(file_with("2.0")), time_by_content(file_with("1.0")));
}

TEST(EntryTime, LiesBetween2000And2020) {
  for (int i = 0; i < 1000; ++i) {
    const auto time = time_by_content(file_with(std::to_string(i)));
    EXPECT_GE(time, 946'684'800);
    EXPECT_LT(time, 1'577'836'800);
  }
  Entry folder;
  folder.type = EntryType::directory;
  EXPECT_EQ(time_by_content(folder), 946'684'800);
}

TEST(EntryTime, IsTheOneThatTheIndexKeeps) {
  Entry entry = file_with("1.0");
  entry.time = 7;
  EXPECT_EQ(time_by_content(entry), 7);
}

}  // namespace
}  // namespace instar::artifact
