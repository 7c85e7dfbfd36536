#include "publisher/release/enrolment_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::publisher {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

const std::string kHexKey = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";

TEST(EnrolmentList, IsReadLineByLine) {
  const auto rows = parse_enrolment_list(
      "device,product,groups,public_key\n"
      "# the north hall\n"
      "gw-01, gateway-2, plant-7/line-a;lab, " +
      kHexKey +
      "\n"
      "\n"
      "gw-02,gateway-2,plant-7/line-a\r\n"
      "gw-03,gateway-2,plant-7/line-a,");
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  ASSERT_THAT(*rows, SizeIs(3));
  EXPECT_EQ((*rows)[0].device.str(), "gw-01");
  EXPECT_EQ((*rows)[0].product, "gateway-2");
  ASSERT_THAT((*rows)[0].groups, SizeIs(2));
  EXPECT_EQ((*rows)[0].groups[1].str(), "lab");
  ASSERT_TRUE((*rows)[0].key.has_value());
  EXPECT_EQ(to_hex((*rows)[0].key->bytes), kHexKey);
  EXPECT_FALSE((*rows)[1].key.has_value());
  EXPECT_FALSE((*rows)[2].key.has_value());
}

TEST(EnrolmentList, NamesTheLineThatCannotBeRead) {
  for (const std::string line :
       {"gw-01", "gw-01,product", "gw/01,p,g", "gw-01,p,", "gw-01,p,g,abc", "a,b,c,,e", "gw-01,p.2,g", "gw-01,,g"}) {
    const auto rows = parse_enrolment_list("gw-00,p,g\n" + line + "\n");
    ASSERT_FALSE(rows.has_value()) << line;
    EXPECT_THAT(rows.error().message, HasSubstr("line 2")) << line;
  }
}

}  // namespace
}  // namespace instar::publisher
