#include "publisher/console/natural_order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace instar::publisher {
namespace {

TEST(NaturalOrder, CountsDigitsAsNumbers) {
  std::vector<std::string> names{"fleet-10", "fleet-2", "fleet-1", "fleet-100", "a2b10",
                                 "a2b9",     "fleet",   "10",      "9",         ""};
  std::ranges::sort(names, natural_less);
  EXPECT_EQ(names, (std::vector<std::string>{"", "9", "10", "a2b9", "a2b10", "fleet", "fleet-1", "fleet-2", "fleet-10",
                                             "fleet-100"}));
}

TEST(NaturalOrder, NumbersMayBeLongerThanAnyInteger) {
  const std::string large = "1" + std::string(40, '0');
  EXPECT_TRUE(natural_less("9" + std::string(39, '9'), large));
  EXPECT_FALSE(natural_less(large, "9" + std::string(39, '9')));
}

TEST(NaturalOrder, DifferentTextsAreNeverEqual) {
  for (const auto& [a, b] : {std::pair{"box-1", "box-01"}, {"box-001", "box-01"}, {"a0", "a"}, {"1a", "1"}})
    EXPECT_NE(natural_less(a, b), natural_less(b, a)) << a << " " << b;
  EXPECT_FALSE(natural_less("box-1", "box-1"));
}

}  // namespace
}  // namespace instar::publisher
