#include "publisher/delta/build.hpp"

#include <gmock/gmock.h>

#include <atomic>

#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/delta_pack.hpp"
#include "publisher/artifact/unpacking.hpp"
#include "publisher/delta/bases.hpp"
#include "publisher/testing/trees.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

class DeltaBuild : public testing::Test {
 protected:
  void SetUp() override { make_versions(folder_ / "one", folder_ / "two"); }

  ReadableTree tree(const std::string& name) const {
    auto opened = open_tree(folder_ / name, folder_.path(), {});
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }
  // The pack file's bytes.
  Bytes make(const std::string& base, const std::string& fresh, const DeltaOptions& options = {},
             const std::string& out = "") const {
    const std::string folder = folder_ / (out.empty() ? "packs" : out);
    EXPECT_TRUE(files::make_folders(folder));
    const auto pack = write_delta_pack(tree(base), tree(fresh), folder, options);
    EXPECT_TRUE(pack) << pack.error().message;
    return pack ? *files::read_file(pack->path(), 1 << 26) : Bytes{};
  }
  // Makes the delta, unpacks it again and compares the trees. Returns the size of the delta.
  std::uint64_t round_trip(const std::string& base, const std::string& fresh) {
    make(base, fresh);
    const std::string path = folder_ / "packs/" + delta_file_name(tree(base).id);
    UnpackOptions options;
    options.source = path;
    options.base = folder_ / base;
    options.out = folder_ / "back";
    const auto done = unpack(options);
    EXPECT_TRUE(done) << base << " to " << fresh << ": " << done.error().message;
    EXPECT_EQ(artifact_on_disk(folder_ / "back"), artifact_on_disk(folder_ / fresh)) << base << " to " << fresh;
    EXPECT_TRUE(files::remove_tree(folder_ / "back"));
    return PackFile::open(path)->wire_bytes();
  }
  std::vector<std::string> names(const std::string& folder) const { return list_names(folder_ / folder); }

  files::TemporaryFolder folder_;
};

TEST_F(DeltaBuild, RestoresTheTreeForwardAndBackward) {
  EXPECT_LT(round_trip("one", "two"), 60'000U) << "a new plugin of 50,000 bytes, a new file of 3,000, and little else";
  EXPECT_LT(round_trip("two", "one"), 60'000U);
}

TEST_F(DeltaBuild, AnIdenticalBaseCostsNoBody) {
  EXPECT_LT(round_trip("one", "one"), 300U);
  const auto pack = PackFile::open(folder_ / "packs/" + delta_file_name(tree("one").id));
  ASSERT_TRUE(pack);
  EXPECT_EQ(pack->directory().body_bytes(), 0U);
}

TEST_F(DeltaBuild, AnEmptyBaseAndAnEmptyTreeAreTrees) {
  ASSERT_TRUE(files::make_folders(folder_ / "empty"));
  EXPECT_LT(round_trip("empty", "two"), 560'000U) << "noise does not compress, and grows little";
  EXPECT_LT(round_trip("two", "empty"), 300U);
}

TEST_F(DeltaBuild, ABaseOfOtherContentWorks) {
  write_in(folder_ / "other", "bin/app", noise(300'000, 77));
  write_in(folder_ / "other", "etc/config", noise(100, 78));
  write_in(folder_ / "other", "lib", as_bytes("a file where a folder comes"));
  round_trip("other", "two");
}

TEST_F(DeltaBuild, TypesThatChangeUnderOnePathAreRebuilt) {
  ASSERT_TRUE(files::remove_tree(folder_ / "two/share"));
  write_in(folder_ / "two", "share", as_bytes("a folder became a file"));
  ASSERT_TRUE(files::remove_tree(folder_ / "two/etc/config"));
  ASSERT_EQ(::symlink("empty", (folder_ / "two/etc/config").c_str()), 0);
  round_trip("one", "two");
  round_trip("two", "one");
}

TEST_F(DeltaBuild, SameTreesGiveTheSameBytesWithAnyThreadsAndMemory) {
  for (int i = 0; i < 200; ++i) {
    write_in(folder_ / "one", "data/" + std::to_string(i), noise(200 + i * 7, i));
    Bytes changed = noise(200 + i * 7, i);
    changed[static_cast<std::size_t>(i)] ^= 1;
    write_in(folder_ / "two", "data/" + std::to_string(i), changed);
  }
  DeltaOptions alone;
  alone.jobs = 1;
  const Bytes expected = make("one", "two", alone, "alone");
  DeltaOptions many;
  many.jobs = 7;
  EXPECT_EQ(make("one", "two", many, "many"), expected);
  DeltaOptions tight;
  tight.jobs = 4;
  tight.match_bytes_max = 1;  // every file alone
  EXPECT_EQ(make("one", "two", tight, "tight"), expected);
}

TEST_F(DeltaBuild, AnArtifactFolderWorksLikeItsTree) {
  BuildOptions options;
  options.tree = folder_ / "one";
  options.out = folder_ / "one.out";
  options.level = 1;
  options.kinds = {artifact::PackKind::full};
  ASSERT_TRUE(build_artifact(options));
  EXPECT_EQ(make("one.out", "two", {}, "a"), make("one", "two", {}, "b"));
  for (const auto& name : list_names(folder_.path()))
    EXPECT_FALSE(name.starts_with(".instar-")) << "a scratch folder was left";
}

TEST_F(DeltaBuild, StoppedAtAnyMomentItLeavesNothing) {
  const auto base = tree("one");
  const auto fresh = tree("two");
  ASSERT_TRUE(files::make_folders(folder_ / "packs"));
  std::atomic<int> asked = 0;
  int stop_at = 0;
  DeltaOptions options;
  options.jobs = 2;
  options.work.stopped = [&] { return ++asked > stop_at; };
  for (; stop_at < 1'000; ++stop_at) {
    asked = 0;
    const auto pack = write_delta_pack(base, fresh, folder_ / "packs", options);
    if (pack) break;
    ASSERT_EQ(pack.error().code, Code::unavailable) << pack.error().message;
    ASSERT_THAT(names("packs"), testing::IsEmpty());
  }
  EXPECT_GT(stop_at, 3);
  EXPECT_LT(stop_at, 1'000);
}

TEST_F(DeltaBuild, ATreeThatChangesMeanwhileIsAnError) {
  const auto base = tree("one");
  const auto fresh = tree("two");
  ASSERT_TRUE(files::make_folders(folder_ / "packs"));
  write_in(folder_ / "two", "etc/config", as_bytes("port = 82\n"));
  const auto pack = write_delta_pack(base, fresh, folder_ / "packs", {});
  ASSERT_FALSE(pack);
  EXPECT_EQ(pack.error().code, Code::corrupt);
  EXPECT_THAT(pack.error().message, HasSubstr("etc/config"));
  EXPECT_THAT(names("packs"), testing::IsEmpty());
}

TEST_F(DeltaBuild, ADeltaIsRefusedForAnotherBaseAndWithoutOne) {
  make("one", "two");
  UnpackOptions options;
  options.source = folder_ / "packs/" + delta_file_name(tree("one").id);
  options.out = folder_ / "back";
  const auto none = unpack(options);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("--base"));
  options.base = folder_ / "two";
  const auto other = unpack(options);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::invalid_argument);
  EXPECT_THAT(other.error().message, HasSubstr(tree("two").id.short_hex()));
  EXPECT_TRUE(real_path(options.out).empty());
}

TEST_F(DeltaBuild, AFlippedByteAnywhereInThePackIsFound) {
  const Bytes good = make("one", "two");
  const auto base = tree("one");
  for (std::size_t at = 0; at < good.size(); at += at < 400 ? 7 : good.size() / 61) {
    Bytes bytes = good;
    bytes[at] ^= 0x10;
    write_in(folder_.path(), "damaged.pack", bytes);
    const auto pack = PackFile::open(folder_ / "damaged.pack");
    if (!pack) continue;
    EXPECT_FALSE(rebuild_delta(*pack, base, nullptr, {})) << at;
  }
}

TEST_F(DeltaBuild, AMovedFileFindsItsBaseByItsContent) {
  Bytes content = noise(120'000, 9);
  write_in(folder_ / "one", "usr/lib/first/thing.bin", content);
  content[5'000] ^= 1;
  write_in(folder_ / "two", "opt/other/name.dat", content);
  const auto base = tree("one");
  const TreeContents contents(base);
  DeltaBases bases(contents, {});
  const auto found = bases.find("opt/other/name.dat", content);
  ASSERT_TRUE(found);
  ASSERT_FALSE(found->empty());
  EXPECT_EQ(found->front()->path, "usr/lib/first/thing.bin");
  EXPECT_LT(round_trip("one", "two"), 62'000U);
}

TEST_F(DeltaBuild, AFileOfTheSameNameIsFoundIfNoContentIsAlike) {
  EXPECT_EQ(stem_of("usr/lib/libfoo.so.1.2.34"), stem_of("lib/libfoo.so.9.10.1"));
  EXPECT_NE(stem_of("libfoo.so.1"), stem_of("libbar.so.1"));
  write_in(folder_ / "one", "etc/tiny-7", as_bytes("abc"));
  const auto base = tree("one");
  const TreeContents contents(base);
  DeltaBases bases(contents, {});
  const auto found = bases.find("etc/tiny-8", as_bytes("xyz"));
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front()->path, "etc/tiny-7");
  EXPECT_TRUE(is_base_in_proportion(60'000, 1));
  EXPECT_FALSE(is_base_in_proportion(1'000'000, 1'000));
}

}  // namespace
}  // namespace instar::publisher
