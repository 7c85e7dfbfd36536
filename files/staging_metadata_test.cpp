#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "core/artifact/acl.hpp"
#include "core/artifact/testing/acls.hpp"
#include "files/staging_tree.hpp"
#include "files/testing/temporary_folder.hpp"
#include "files/tree.hpp"

namespace instar::files {
namespace {

using artifact::Entry;
using artifact::EntryType;
using artifact::fixture::usual_acl;

const std::string kAccess(artifact::kAccessAcl);

class StagingMetadata : public testing::Test {
 protected:
  void SetUp() override {
    auto tree = StagingTree::make(folder_ / "tree");
    ASSERT_TRUE(tree);
    tree_ = std::move(*tree);
    ASSERT_TRUE(tree_.make_file("f", 10));
    const Bytes acl = usual_acl();
    ASSERT_EQ(::setxattr(folder_.path().c_str(), kAccess.c_str(), acl.data(), acl.size(), 0), 0)
        << "these tests need a file system with ACLs";
  }
  static Entry entry() {
    Entry made;
    made.path = "f";
    made.mode = 0670;
    made.uid = ::geteuid();
    made.gid = ::getegid();
    made.xattrs = {{kAccess, usual_acl()}, {"user.a", to_bytes("1")}};
    return made;
  }
  Status set(const Entry& entry) {
    auto file = tree_.open_file("f", true);
    return file ? tree_.set_metadata(file->get(), entry) : fail(file.error());
  }
  Entry found() {
    auto file = tree_.open_file("f", false);
    auto read = StagingTree::read_metadata(file->get(), "f");
    EXPECT_TRUE(read);
    return *read;
  }
  unsigned mode() { return found().mode; }

  TemporaryFolder folder_;
  StagingTree tree_;
};

TEST_F(StagingMetadata, ReadsBackWhatWasSet) {
  ASSERT_TRUE(set(entry()));
  EXPECT_EQ(found().mode, 0670);
  EXPECT_EQ(found().xattrs, entry().xattrs);
}

TEST_F(StagingMetadata, TakesAwayWhatTheEntryDoesNotHave) {
  ASSERT_TRUE(set(entry()));
  Entry plain = entry();
  plain.mode = 0640;
  plain.xattrs = {{"user.b", to_bytes("2")}};
  ASSERT_TRUE(set(plain));
  EXPECT_EQ(mode(), 0640U);
  EXPECT_EQ(found().xattrs, plain.xattrs);
}

TEST_F(StagingMetadata, NothingIsInheritedFromTheFolderAbove) {
  const Bytes acl = artifact::fixture::acl({{1, 7}, {2, 7, 1234}, {4, 7}, {16, 7}, {32, 7}});
  const std::string name(artifact::kDefaultAcl);
  ASSERT_EQ(::setxattr((folder_ / "tree").c_str(), name.c_str(), acl.data(), acl.size(), 0), 0);
  ASSERT_TRUE(tree_.make_folder(""));
  ASSERT_TRUE(tree_.make_folder("d"));
  ASSERT_TRUE(tree_.make_file("d/f", 0));
  Entry fifo;
  fifo.path = "d/p";
  fifo.type = EntryType::fifo;
  fifo.mode = 0640;
  fifo.uid = ::geteuid();
  fifo.gid = ::getegid();
  ASSERT_TRUE(tree_.make_special(fifo));
  for (const char* path : {"tree/d", "tree/d/f", "tree/d/p"}) {
    EXPECT_LT(::getxattr((folder_ / path).c_str(), kAccess.c_str(), nullptr, 0), 0) << path;
    EXPECT_LT(::getxattr((folder_ / path).c_str(), name.c_str(), nullptr, 0), 0) << path;
  }
}

// As a user who may not set it for another owner's file: the group gets its own rights, not the mask.
TEST_F(StagingMetadata, AnAclThatIsLeftOutWidensNothing) {
  if (::geteuid() != 0) return;
  StagingTree::LeftOut left_out;
  tree_.leave_out(left_out);
  Entry wrong = entry();
  // The kernel knows no such version, and says so as a file system without ACLs does.
  wrong.xattrs[0].value[0] = 9;
  ASSERT_TRUE(set(wrong));
  EXPECT_EQ(left_out.xattrs, 1U);
  EXPECT_EQ(mode(), 0600U) << "nobody knows what a strange ACL gives";
}

TEST_F(StagingMetadata, TimesAreThoseOfTheReleaseOrOfTheIndex) {
  Entry plain = entry();
  tree_.use_time(1'700'000'000);
  ASSERT_TRUE(set(plain));
  EXPECT_EQ(found().time, 1'700'000'000U);
  plain.time = 5;
  ASSERT_TRUE(set(plain));
  EXPECT_EQ(found().time, 5U);
}

}  // namespace
}  // namespace instar::files
