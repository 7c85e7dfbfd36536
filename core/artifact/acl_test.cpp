#include "core/artifact/acl.hpp"

#include <gtest/gtest.h>

#include "core/artifact/testing/acls.hpp"

namespace instar::artifact {
namespace {

using fixture::acl;
using Entries = std::vector<fixture::AclEntry>;

// r-- for the group, rwx for user 1000: the mode of such a file is 0670.
const Entries kUsual{{1, 6}, {2, 7, 1000}, {4, 4}, {16, 7}, {32, 0}};

TEST(Acl, TakesWhatAKernelGivesOut) {
  EXPECT_TRUE(check_access_acl(acl(kUsual), 0670));
  EXPECT_TRUE(check_access_acl(acl(kUsual), 04670)) << "setuid is not the ACL's";
  EXPECT_TRUE(check_access_acl(acl({{1, 6}, {4, 4}, {8, 2, 7}, {8, 1, 9}, {16, 6}, {32, 4}}), 0664));
  EXPECT_TRUE(check_access_acl(acl({{1, 6}, {4, 4}, {16, 0}, {32, 4}}), 0604)) << "a mask with nobody named";
  EXPECT_TRUE(check_default_acl(acl({{1, 7}, {4, 5}, {32, 5}})));
  EXPECT_TRUE(check_default_acl(acl(kUsual)));
}

TEST(Acl, RefusesWhatNoKernelGivesOut) {
  const std::vector<Entries> broken{{},
                                    {{1, 6}, {4, 4}},                                         // nothing for others
                                    {{4, 4}, {32, 0}, {16, 7}},                               // nothing for the owner
                                    {{1, 6}, {2, 7, 1000}, {4, 4}, {32, 0}},                  // a name without a mask
                                    {{2, 7, 1000}, {1, 6}, {4, 4}, {16, 7}, {32, 0}},         // out of order
                                    {{1, 6}, {1, 6}, {4, 4}, {16, 7}, {32, 0}},               // the owner twice
                                    {{1, 6}, {4, 4}, {16, 7}, {16, 7}, {32, 0}},              // two masks
                                    {{1, 8}, {4, 4}, {16, 7}, {32, 0}},                       // an unknown right
                                    {{1, 6}, {64, 7}, {4, 4}, {16, 7}, {32, 0}},              // an unknown tag
                                    {{1, 6, 5}, {4, 4}, {16, 7}, {32, 0}},                    // the owner by a number
                                    {{1, 6}, {2, 7, 0xffffffff}, {4, 4}, {16, 7}, {32, 0}}};  // a name that is none
  for (const Entries& entries : broken) {
    EXPECT_FALSE(check_access_acl(acl(entries), 0670)) << entries.size();
    EXPECT_FALSE(check_default_acl(acl(entries))) << entries.size();
  }
}

TEST(Acl, RefusesEveryTruncationAndAnotherVersion) {
  const Bytes whole = acl(kUsual);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(check_access_acl(ByteView(whole).first(size), 0670)) << size;
  Bytes other = whole;
  other[0] = 1;
  EXPECT_FALSE(check_access_acl(other, 0670));
}

TEST(Acl, RefusesAnAccessAclThatTheModeContradictsOrMakesNeedless) {
  for (const std::uint16_t mode : std::vector<std::uint16_t>{0640, 0677, 0770, 0600})
    EXPECT_FALSE(check_access_acl(acl(kUsual), mode)) << std::oct << mode;
  EXPECT_FALSE(check_access_acl(acl({{1, 6}, {4, 4}, {32, 0}}), 0640)) << "no file system keeps it";
}

TEST(Acl, ModeWithoutItGivesTheGroupItsOwnRightsInsteadOfTheMask) {
  EXPECT_EQ(mode_without_acl(0670, acl(kUsual)), 0640);
  EXPECT_EQ(mode_without_acl(06670, acl(kUsual)), 06640);
}

// Rights of everybody who is named, or in a named group, are those of `others` afterwards; a named user may be in the
// file's group.
TEST(Acl, ModeWithoutItGivesNobodyWhoIsNamedMoreThanBefore) {
  EXPECT_EQ(mode_without_acl(0664, acl({{1, 6}, {2, 0, 1000}, {4, 6}, {16, 6}, {32, 4}})), 0600) << "a user shut out";
  EXPECT_EQ(mode_without_acl(0664, acl({{1, 6}, {4, 6}, {8, 2, 50}, {16, 6}, {32, 4}})), 0660)
      << "a group that may write";
  EXPECT_EQ(mode_without_acl(0624, acl({{1, 6}, {2, 6, 1000}, {4, 6}, {16, 2}, {32, 4}})), 0620) << "the mask counts";
  EXPECT_EQ(mode_without_acl(0604, acl({{1, 6}, {4, 4}, {16, 0}, {32, 4}})), 0604);
  EXPECT_EQ(mode_without_acl(0777, to_bytes("no ACL")), 0700);
}

TEST(Acl, FileCapabilitiesHaveOneOfTwoForms) {
  EXPECT_TRUE(check_capabilities(fixture::capabilities()));
  Bytes of_a_namespace = fixture::capabilities();
  of_a_namespace[3] = 3;
  EXPECT_FALSE(check_capabilities(of_a_namespace));
  of_a_namespace.resize(24);
  EXPECT_TRUE(check_capabilities(of_a_namespace));
  for (const std::size_t size : {0U, 3U, 12U, 19U, 21U, 24U}) {
    Bytes other = fixture::capabilities();
    other.resize(size);
    EXPECT_FALSE(check_capabilities(other)) << size;
  }
  Bytes unknown = fixture::capabilities();
  unknown[3] = 1;
  EXPECT_FALSE(check_capabilities(unknown));
}

}  // namespace
}  // namespace instar::artifact
