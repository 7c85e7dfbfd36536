// An image with a compressed file system, made again from the one before it by a delta of what is in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "device-client/testing/delta_fixture.hpp"
#include "device-client/testing/staging_fixture.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using artifact::PackKind;
using testing::HasSubstr;

// Over two notes long: content that does not compress, behind some that was put before it.
Bytes image_of(bool is_new) {
  const files::TemporaryFolder folder;
  Bytes program = noise(10'000'000, 1);
  if (is_new) program.insert(program.begin() + 1'000, 500, std::uint8_t{7});
  EXPECT_TRUE(files::make_folders(folder / "tree"));
  EXPECT_TRUE(files::write_file_atomic(folder / "tree/a-program", program));
  for (int i = 0; i < 40; ++i) {
    const std::string text(static_cast<std::size_t>(3'000 + 100 * i), static_cast<char>('a' + i % 26));
    EXPECT_TRUE(files::write_file_atomic(folder / ("tree/text-" + std::to_string(i)),
                                         as_bytes(is_new && i % 5 == 0 ? text + "new" : text)));
  }
  const std::string command = "mksquashfs '" + folder / "tree" + "' '" + folder / "image" +
                              "' -quiet -no-progress -noappend -all-root -mkfs-time 0 -all-time 0 -b 65536 >/dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0);
  return *files::read_file(folder / "image", 1 << 26);
}

const ArtifactFixture& old_image() {
  static const ArtifactFixture image = std::move(ArtifactFixture(TreeFixture::image(image_of(false))).as_image());
  return image;
}

ArtifactFixture new_image() {
  static const TreeFixture tree = TreeFixture::image(image_of(true));
  static const DeltaFixture made = make_delta(old_image().tree, tree);
  ArtifactFixture image = std::move(ArtifactFixture(tree).as_image());
  add_delta(image, old_image(), made);
  return image;
}

class StagerImage : public testing::Test {
 protected:
  StagerImage() : device_(folder_ / "state"), image_(new_image()) {
    EXPECT_TRUE(files::make_folders(folder_ / "state"));
    device_.options.slice = {500'000, 2};
    device_.start();
    device_.open(1, {&old_image()}, PackKind::full);
    device_.run();
    EXPECT_TRUE(device_.done);
    device_.bytes_fetched = 0;
  }
  void expect_new_image() {
    ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
    expect_tree(tree_of(device_, 2, image_), image_.tree);
    expect_tree(tree_of(device_, 1, old_image()), old_image().tree);
  }
  [[nodiscard]] std::string artifact_file(const std::string& name) const {
    return folder_ / ("state/revisions/2/artifacts/" + image_.artifact.id.hex() + "/" + name);
  }
  [[nodiscard]] std::uint64_t inode() const {
    struct stat status {};
    return ::stat((tree_of(device_, 2, image_) + "/image").c_str(), &status) == 0 ? status.st_ino : 0;
  }

  files::TemporaryFolder folder_;
  StagingFixture device_;
  ArtifactFixture image_;
};

TEST_F(StagerImage, IsMadeFromAFractionOfItsBytes) {
  const auto& delta = image_.pack(PackKind::delta);
  EXPECT_EQ(delta.format, 2);
  EXPECT_LT(delta.body_bytes, 20'000U);
  device_.open(2, {&image_}, PackKind::delta, {1});
  device_.run();
  expect_new_image();
  EXPECT_EQ(device_.bytes_fetched, delta.head_bytes + delta.body_bytes);
  EXPECT_TRUE(device_.unusable.empty());
  for (const char* name : {"delta", "decoded", "progress"}) EXPECT_FALSE(files::exists(artifact_file(name))) << name;
}

TEST_F(StagerImage, KilledAtAnyStepItGoesOnFromWhatWasNoted) {
  int gone_on = 0;
  for (int steps = 1;; steps += 3) {
    SCOPED_TRACE("killed after step " + std::to_string(steps));
    device_.durable.clear();
    device_.open(2, {&image_}, PackKind::delta, {1});
    if (!device_.run(steps)) break;
    const bool noted = files::exists(artifact_file("progress"));
    const std::uint64_t before = inode();
    device_.kill_and_start();
    device_.reopen();
    device_.run();
    expect_new_image();
    if (noted) {
      ++gone_on;
      EXPECT_EQ(inode(), before) << "the file was begun anew";
    }
    if (HasFailure()) return;
    device_.stager->remove({2});
    device_.settle();
    device_.events.clear();
  }
  expect_new_image();
  EXPECT_GT(gone_on, 2);
}

TEST_F(StagerImage, WhatWasDamagedBeforeTheNoteIsFoundAndMadeAgain) {
  device_.open(2, {&image_}, PackKind::delta, {1});
  while (!files::exists(artifact_file("progress"))) ASSERT_TRUE(device_.run(1)) << "it came to its end";
  device_.kill_and_start();
  const std::string made = tree_of(device_, 2, image_) + "/image";
  Bytes content = *files::read_file(made, 1 << 26);
  content[100'000] ^= 1;
  ASSERT_TRUE(files::write_file_atomic(made, content));
  device_.reopen();
  device_.run();
  expect_new_image();
  EXPECT_TRUE(device_.unusable.empty());
}

// As with a library that compresses otherwise: the size in the delta is another one than the device gets.
TEST_F(StagerImage, ADeviceThatCompressesOtherwiseTakesAnotherPackAtOnce) {
  TreeFixture tree = TreeFixture::image(image_of(true));
  ArtifactFixture image = std::move(ArtifactFixture(tree).as_image());
  add_delta(image, old_image(), make_unlike_delta(old_image().tree, tree));
  device_.open(2, {&image}, PackKind::delta, {1});
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  ASSERT_EQ(device_.unusable.size(), 1U);
  EXPECT_THAT(device_.unusable.front().error.message, HasSubstr("compresses a block of the file otherwise"));
  for (const std::string& line : device_.log) EXPECT_EQ(line.find("made again"), std::string::npos) << line;
  expect_tree(tree_of(device_, 2, image), image.tree);
}

}  // namespace
}  // namespace instar::device
