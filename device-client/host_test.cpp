#include "device-client/host.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace instar::device {
namespace {

// Pages of files that this process has mapped now, in KB.
int mapped_file_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int kb = 0;
    if (word == "RssFile:" && status >> kb) return kb;
  }
  return 0;
}

TEST(Host, PagesOfCodeAreReleasedAndComeBackWhenUsed) {
  const int before = mapped_file_kb();
  let_go_of_code();
  EXPECT_LT(mapped_file_kb(), before);
  EXPECT_GT(mapped_file_kb(), 0);
  EXPECT_FALSE(client_version().empty());
}

}  // namespace
}  // namespace instar::device
