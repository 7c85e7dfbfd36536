#include "device-client/revision_verify.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "device-client/testing/staging_fixture.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using artifact::PackKind;

TreeFixture sample() {
  TreeFixture tree;
  tree.folder("bin");
  tree.file("bin/a", noise(70'000, 1), 0755);
  tree.file("bin/b", noise(4'000, 2), 0755);
  tree.hardlink("bin/b-too", "bin/b");
  tree.file("empty", {});
  tree.symlink("link", "bin/a");
  return tree;
}

class RevisionVerify : public ::testing::Test {
 protected:
  RevisionVerify() : published_(sample()), device_(folder_.path()) {
    device_.open(1, {&published_}, PackKind::full);
    device_.run();
    EXPECT_TRUE(device_.done);
    artifact_ = folder_.path() + "/revisions/1/artifacts/" + published_.artifact.id.hex();
    tree_ = artifact_ + "/tree";
    state_.revisions.current = revision::RevisionRecord{1, {"box", "1.0", 1, {}, {published_.artifact.id}}};
  }
  TreeVerdict verify() {
    const auto verdict = verify_artifact(artifact_, published_.artifact.id);
    EXPECT_TRUE(verdict) << verdict.error().message;
    return verdict ? *verdict : TreeVerdict{};
  }

  files::TemporaryFolder folder_;
  ArtifactFixture published_;
  StagingFixture device_;
  std::string artifact_;
  std::string tree_;
  revision::DeviceState state_;
};

TEST_F(RevisionVerify, FindsNothingWrongInAStagedTree) {
  const auto verdict = verify();
  EXPECT_EQ(verdict.faults, 0U) << verdict.first_fault;
  EXPECT_EQ(verdict.entries, 7U);
  EXPECT_EQ(verdict.bytes, 74'000U);
  const auto verdicts = verify_revisions(folder_.path(), state_);
  ASSERT_EQ(verdicts.size(), 1U);
  EXPECT_TRUE(is_sound(verdicts));
  EXPECT_NE(verdicts_json(verdicts).find("\"ok\":true"), std::string::npos);
}

TEST_F(RevisionVerify, FindsOneChangedByte) {
  std::fstream(tree_ + "/bin/a", std::ios::in | std::ios::out).seekp(69'999).put('\x7f').flush();
  EXPECT_EQ(verify().faults, 1U);
  EXPECT_NE(verify().first_fault.find("bin/a does not have the content"), std::string::npos);
  EXPECT_FALSE(is_sound(verify_revisions(folder_.path(), state_)));
}

TEST_F(RevisionVerify, FindsAnEmptyFileWhereContentShouldBe) {
  ASSERT_EQ(::truncate((tree_ + "/bin/b").c_str(), 0), 0);
  EXPECT_EQ(verify().faults, 1U);
}

TEST_F(RevisionVerify, FindsMissingChangedAndExtraEntries) {
  ASSERT_EQ(::unlink((tree_ + "/link").c_str()), 0);
  EXPECT_EQ(verify().faults, 2U);  // the link, and the number of entries
  ASSERT_EQ(::symlink("bin/b", (tree_ + "/link").c_str()), 0);
  EXPECT_EQ(verify().faults, 1U);
  ASSERT_EQ(::unlink((tree_ + "/link").c_str()), 0);
  ASSERT_EQ(::symlink("bin/a", (tree_ + "/link").c_str()), 0);
  EXPECT_EQ(verify().faults, 0U);
  ASSERT_EQ(::chmod((tree_ + "/bin").c_str(), 0700), 0);
  EXPECT_NE(verify().first_fault.find("another mode"), std::string::npos);
  ASSERT_EQ(::chmod((tree_ + "/bin").c_str(), 0755), 0);
  std::ofstream(tree_ + "/more") << "x";
  EXPECT_NE(verify().first_fault.find("holds 8 entries"), std::string::npos);
}

TEST_F(RevisionVerify, FindsAHardLinkThatBecameAFile) {
  ASSERT_EQ(::unlink((tree_ + "/bin/b-too").c_str()), 0);
  std::ofstream(tree_ + "/bin/b-too") << "x";
  EXPECT_EQ(verify().faults, 1U);
}

// As where a file has more names than its file system allows.
TEST_F(RevisionVerify, TakesACopyWithTheSameMetadataForAnotherName) {
  std::filesystem::copy_file(tree_ + "/bin/b", tree_ + "/copy");
  ASSERT_EQ(::unlink((tree_ + "/bin/b-too").c_str()), 0);
  ASSERT_EQ(::rename((tree_ + "/copy").c_str(), (tree_ + "/bin/b-too").c_str()), 0);
  EXPECT_EQ(verify().faults, 1U) << "its time differs";
  struct stat status {};
  ASSERT_EQ(::stat((tree_ + "/bin/b").c_str(), &status), 0);
  const std::array<timespec, 2> times{status.st_mtim, status.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, (tree_ + "/bin/b-too").c_str(), times.data(), 0), 0);
  EXPECT_EQ(verify().faults, 0U);
  ASSERT_EQ(::chmod((tree_ + "/bin/b-too").c_str(), 0700), 0);
  EXPECT_EQ(verify().faults, 1U);
}

TEST_F(RevisionVerify, FindsAnotherIndex) {
  EXPECT_EQ(verify_artifact(artifact_, ArtifactId(trust::digest(as_bytes("another")))).value().faults, 1U);
}

TEST_F(RevisionVerify, IsNotSoundWithoutARunningRevision) {
  EXPECT_FALSE(is_sound(verify_revisions(folder_.path(), {})));
  state_.revisions.current->number = 2;  // its folder is not there
  const auto verdicts = verify_revisions(folder_.path(), state_);
  EXPECT_FALSE(is_sound(verdicts));
  EXPECT_EQ(verdicts[0].tree.faults, 1U);
}

TEST_F(RevisionVerify, ChecksACandidateOnlyOnceItIsComplete) {
  state_.revisions.candidate = revision::RevisionRecord{2, {"box", "2.0", 2, {}, {published_.artifact.id}}};
  state_.phase = revision::Phase::fetching;
  EXPECT_EQ(verify_revisions(folder_.path(), state_).size(), 1U);
  state_.phase = revision::Phase::trying;
  EXPECT_EQ(verify_revisions(folder_.path(), state_).size(), 2U);
  EXPECT_FALSE(is_sound(verify_revisions(folder_.path(), state_)));
}

}  // namespace
}  // namespace instar::device
