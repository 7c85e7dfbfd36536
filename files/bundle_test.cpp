#include "files/bundle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::files {
namespace {

using testing::HasSubstr;

class BundleTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_file_atomic(folder_ / "a.pack", as_bytes("first pack")).has_value());
    ASSERT_TRUE(write_file_atomic(folder_ / "b.pack", as_bytes("")).has_value());
    ASSERT_TRUE(
        write_bundle(path(), as_bytes("the root"), as_bytes("the manifest"), {folder_ / "a.pack", folder_ / "b.pack"})
            .has_value());
    content_ = read_file(path(), 4096).value();
  }
  [[nodiscard]] std::string path() const { return folder_ / "release.bundle"; }
  [[nodiscard]] Error error_of(ByteView content) {
    EXPECT_TRUE(write_file_atomic(folder_ / "other", content).has_value());
    const auto opened = Bundle::open(folder_ / "other");
    return opened ? Error{Code::ok, ""} : opened.error();
  }
  TemporaryFolder folder_;
  Bytes content_;
};

TEST_F(BundleTest, ReadsBackWhatWasWritten) {
  const auto bundle = Bundle::open(path());
  ASSERT_TRUE(bundle.has_value()) << bundle.error().message;
  EXPECT_EQ(as_text(bundle->only(BundlePart::root, 100).value()), "the root");
  EXPECT_EQ(as_text(bundle->only(BundlePart::manifest, 100).value()), "the manifest");
  EXPECT_EQ(bundle->only(BundlePart::manifest, 5).error().code, Code::too_large);
  EXPECT_EQ(bundle->only(BundlePart::pack, 100).error().code, Code::malformed) << "there are two";
  ASSERT_EQ(bundle->parts().size(), 4U);
  EXPECT_EQ(as_text(bundle->read(bundle->parts()[2], 6, 4).value()), "pack");
  EXPECT_EQ(bundle->read(bundle->parts()[2], 6, 5).error().code, Code::corrupt);
  EXPECT_EQ(bundle->parts()[3].bytes, 0U);
}

TEST_F(BundleTest, BringsTheRootDocumentsBefore) {
  ASSERT_TRUE(write_bundle(path(), as_bytes("root 4"), as_bytes("the manifest"), {folder_ / "a.pack"},
                           {to_bytes("root 2"), to_bytes("root 3")})
                  .has_value());
  const auto bundle = Bundle::open(path());
  ASSERT_TRUE(bundle.has_value()) << bundle.error().message;
  EXPECT_EQ(as_text(bundle->only(BundlePart::root, 100).value()), "root 4");
  const auto older = bundle->all(BundlePart::older_root, 100);
  ASSERT_TRUE(older.has_value());
  EXPECT_EQ(*older, (std::vector<Bytes>{to_bytes("root 2"), to_bytes("root 3")}));
  EXPECT_EQ(bundle->all(BundlePart::older_root, 5).error().code, Code::too_large);
  ASSERT_EQ(bundle->parts().size(), 5U);
  EXPECT_EQ(as_text(bundle->read(bundle->parts()[4], 0, 10).value()), "first pack");
}

TEST_F(BundleTest, EveryCutAndAnyExtraByteIsFound) {
  for (std::size_t size = 0; size < content_.size(); ++size)
    EXPECT_NE(error_of(ByteView(content_).first(size)).code, Code::ok) << size;
  content_.push_back(0);
  EXPECT_THAT(error_of(content_).message, HasSubstr("cut off or damaged"));
}

TEST_F(BundleTest, ALaterVersionAndAnotherKindOfFileAreRefused) {
  auto later = content_;
  later[7] = 2;
  EXPECT_EQ(error_of(later).code, Code::unsupported);
  auto other = content_;
  other[0] = 'X';
  EXPECT_THAT(error_of(other).message, HasSubstr("is no bundle of a release"));
  auto many = content_;
  many[9] = 0xff;
  EXPECT_EQ(error_of(many).code, Code::malformed);
  EXPECT_EQ(Bundle::open(folder_ / "nothing").error().code, Code::not_found);
}

TEST_F(BundleTest, AMissingPackLeavesTheOldBundle) {
  EXPECT_EQ(write_bundle(path(), {}, {}, {folder_ / "none.pack"}).error().code, Code::not_found);
  EXPECT_EQ(read_file(path(), 4096).value(), content_);
}

}  // namespace
}  // namespace instar::files
