#include "publisher/archive/layer.hpp"

#include <gmock/gmock.h>

#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"
#include "publisher/archive/testing/tar_maker.hpp"

namespace instar::publisher {
namespace {

using artifact::EntryType;
using testing::ElementsAre;
using testing::HasSubstr;

class Layers : public testing::Test {
 protected:
  Status apply(const TarMaker& made) { return apply_bytes(made.finish()); }
  Status apply_bytes(const Bytes& bytes) {
    MemorySource source(bytes);
    return apply_layer(source, options_, room_, *store_, tree_, notes_, {});
  }
  std::string refusal(const TarMaker& made) {
    const auto applied = apply(made);
    return applied ? "" : applied.error().message;
  }
  void SetUp() override {
    ASSERT_TRUE(files::make_folders(folder_ / "contents"));
    ASSERT_TRUE(files::make_folders(folder_ / "tree"));
    store_.emplace(folder_ / "contents");
    options_.has_whiteouts = true;
  }
  // What there is in the end, as "path" for a folder, "path=content", "path->target", "path=>first name".
  std::vector<std::string> finish() {
    auto entries = tree_.finish(folder_ / "tree", {.devices_allowed = true});
    EXPECT_TRUE(entries) << entries.error().message;
    if (!entries) return {};
    entries_ = *entries;
    std::vector<std::string> shown;
    for (const auto& entry : entries_) {
      if (entry.path.empty()) continue;
      std::string text = entry.path;
      if (entry.type == EntryType::file)
        text += "=" + std::string(as_text(*files::read_file(folder_ / ("tree/" + entry.path), 1024)));
      if (entry.type == EntryType::symlink) text += "->" + entry.target;
      if (entry.type == EntryType::hardlink) text += "=>" + entry.target;
      shown.push_back(text);
    }
    return shown;
  }
  const artifact::Entry& entry(const std::string& path) {
    return *std::ranges::find(entries_, path, &artifact::Entry::path);
  }

  files::TemporaryFolder folder_;
  LayerOptions options_;
  ArchiveRoom room_;
  std::optional<ContentStore> store_;
  MergedTree tree_;
  LayerNotes notes_;
  std::vector<artifact::Entry> entries_;
};

TEST_F(Layers, ComeOneOverTheOther) {
  ASSERT_TRUE(apply(TarMaker().folder("a").file("a/x", "1").file("a/y", "1").file("b", "1")));
  ASSERT_TRUE(apply(TarMaker().file("./a/x", "2").file("/c/d/e", "2")));
  EXPECT_THAT(finish(), ElementsAre("a", "a/x=2", "a/y=1", "b=1", "c", "c/d", "c/d/e=2"));
}

TEST_F(Layers, OwnersAndModesAreTheArchives) {
  ASSERT_TRUE(apply(TarMaker()
                        .add({.path = "su", .content = "x", .mode = 04755, .uid = 7, .gid = 8})
                        .add({.path = "./", .kind = '5', .mode = 01777, .uid = 9})
                        .file("new/f")));
  finish();
  EXPECT_EQ(entry("su").mode, 04755);
  EXPECT_EQ(entry("su").uid, 7U);
  EXPECT_EQ(entry("su").gid, 8U);
  EXPECT_EQ(entry("").mode, 01777);
  EXPECT_EQ(entry("").uid, 9U);
  EXPECT_EQ(entry("new").mode, 0755) << "a folder that the archive does not name";
  EXPECT_EQ(entry("new").uid, 0U);
}

TEST_F(Layers, AWhiteoutTakesWhatIsBelowAndNotWhatItsOwnLayerAdds) {
  ASSERT_TRUE(apply(TarMaker().file("gone").file("kept/old").file("kept/deep/old").file("again", "1")));
  ASSERT_TRUE(apply(TarMaker()
                        .file(".wh.gone")
                        .file("kept/new")
                        .file(".wh.kept")
                        .file("again", "2")
                        .file(".wh.again")
                        .file(".wh.never-there")
                        .file("nowhere/.wh.x")));
  EXPECT_THAT(finish(), ElementsAre("again=2", "kept", "kept/new=x"));
}

TEST_F(Layers, AnOpaqueFolderHidesWhatIsBelowWhereverItsMarkStands) {
  ASSERT_TRUE(apply(TarMaker().file("a/old").file("a/both", "1").file("b/old").file("b/sub/old")));
  ASSERT_TRUE(apply(TarMaker().file("a/both", "2").file("a/new").file("a/.wh..wh..opq")));
  ASSERT_TRUE(apply(TarMaker().file("b/.wh..wh..opq").file("b/sub/new").file("b/.wh..wh.plnk")));
  EXPECT_THAT(finish(), ElementsAre("a", "a/both=2", "a/new=x", "b", "b/sub", "b/sub/new=x"));
}

TEST_F(Layers, KindsReplaceEachOther) {
  ASSERT_TRUE(apply(TarMaker().file("f").file("d/in").symlink("l", "d").folder("e", 0700).file("e/in")));
  ASSERT_TRUE(apply(TarMaker().file("f").folder("f").file("f/in").file("d", "2").folder("l").folder("e", 0750)));
  EXPECT_THAT(finish(), ElementsAre("d=2", "e", "e/in=x", "f", "f/in=x", "l"));
  EXPECT_EQ(entry("e").mode, 0750) << "a folder over a folder keeps what is in it";
}

TEST_F(Layers, HardLinksHoldOverLayers) {
  ASSERT_TRUE(apply(TarMaker().file("z", "one").link("a", "z")));
  ASSERT_TRUE(apply(TarMaker().link("m", "./z").file(".wh.z").file("a", "two")));
  EXPECT_THAT(finish(), ElementsAre("a=two", "m=one"));
  EXPECT_EQ(entry("m").type, EntryType::file) << "the names before it are gone";
}

TEST_F(Layers, FurtherNamesOfAFileAreHardLinksToTheFirst) {
  ASSERT_TRUE(apply(TarMaker().file("z", "one").link("a/b", "z").symlink("s", "z").link("t", "s")));
  EXPECT_THAT(finish(), ElementsAre("a", "a/b=one", "s->z", "t->z", "z=>a/b"));
}

TEST_F(Layers, TheLastOfSeveralEntriesWins) {
  ASSERT_TRUE(apply(TarMaker().file("a", "1").file("a", "2").symlink("b", "x").file("b", "3")));
  EXPECT_THAT(finish(), ElementsAre("a=2", "b=3"));
}

TEST_F(Layers, NamesAreTheBytesThatTheyAre) {
  const std::string apart = "cafe\xcc\x81";
  const std::string is_long = std::string(200, 'x') + "/\xff";
  ASSERT_TRUE(apply(TarMaker()
                        .add({.path = "1", .content = "a", .pax = {{"path", apart}, {"SCHILY.xattr.user.k", "v"}}})
                        .add({.path = "2", .content = "b", .pax = {{"path", is_long}}})
                        .add({.path = "3", .kind = '2', .target = "t", .pax = {{"linkpath", apart}}})));
  EXPECT_THAT(finish(), ElementsAre("3->" + apart, apart + "=a", std::string(200, 'x'), is_long + "=b"));
  EXPECT_THAT(entry(apart).xattrs, ElementsAre(artifact::Xattr{"user.k", {'v'}}));
}

TEST_F(Layers, WhatNoTreeCarriesIsNoted) {
  ASSERT_TRUE(apply(TarMaker()
                        .add({.path = "f", .content = "a", .pax = {{"SCHILY.xattr.security.selinux", "x"}}})
                        .add({.path = "dev/null", .kind = '3'})));
  EXPECT_THAT(finish(), ElementsAre("f=a"));
  EXPECT_EQ(notes_.tree.xattrs_not_kept.at("security.selinux").first, "f");
  EXPECT_EQ(notes_.devices_left_out.first, "dev/null");
}

TEST_F(Layers, DevicesNeedToBeAllowed) {
  EXPECT_THAT(refusal(TarMaker().add({.path = "srv/null", .kind = '3'})), HasSubstr("'srv/null': it is a device node"));
  options_.devices_allowed = true;
  ASSERT_TRUE(apply(TarMaker().add({.path = "dev/null", .kind = '3'})));
  finish();
  EXPECT_EQ(entry("dev/null").device_minor, 3U);
}

TEST_F(Layers, NothingIsWrittenThroughALinkThatLeadsOut) {
  ASSERT_TRUE(apply(TarMaker()
                        .symlink("out", "/etc")
                        .symlink("up", "../..")
                        .symlink("loop", "loop")
                        .symlink("nowhere", "x")
                        .folder("in")
                        .symlink("fine", "./in/../in")));
  for (const auto* link : {"out", "up", "loop", "nowhere"}) {
    EXPECT_THAT(refusal(TarMaker().file(std::string(link) + "/passwd")), HasSubstr("written through the link")) << link;
    EXPECT_THAT(refusal(TarMaker().link("x", std::string(link) + "/passwd")), HasSubstr("through the link")) << link;
  }
  ASSERT_TRUE(apply(TarMaker().file("fine/f")));
  EXPECT_EQ(tree_.find("in/f")->entry.type, EntryType::file);
}

TEST_F(Layers, HostileEntriesAreRefusedByName) {
  EXPECT_THAT(refusal(TarMaker().file("a/../../b")), HasSubstr("'a/../../b' leads out of the tree by '..'"));
  EXPECT_THAT(refusal(TarMaker().file("a\nb")), HasSubstr("'a?b' has a control character"));
  EXPECT_THAT(refusal(TarMaker().link("a", "../b")), HasSubstr("leads out of the tree"));
  EXPECT_THAT(refusal(TarMaker().link("a", "b")), HasSubstr("hard link to 'b', which is not there"));
  EXPECT_THAT(refusal(TarMaker().folder("d").link("a", "d")), HasSubstr("which is a folder"));
  EXPECT_THAT(refusal(TarMaker().file("f").file("f/g")), HasSubstr("'f/g' lies below 'f', which is no folder"));
  EXPECT_THAT(refusal(TarMaker().file(".")), HasSubstr("the root folder is no folder"));
  EXPECT_THAT(refusal(TarMaker().file("a/.wh...")), HasSubstr("deletes nothing"));
  EXPECT_THAT(refusal(TarMaker().add({.path = "big", .said_size = std::uint64_t{1} << 32U})), HasSubstr("'big'"));
  EXPECT_THAT(refusal(TarMaker()
                          .file(std::string(90, 'p') + "/x")
                          .add({.path = "l", .content = "", .pax = {{"path", std::string(300, 'n')}}})),
              HasSubstr("more than 255 bytes"));
}

TEST_F(Layers, BoundsHoldOverAllLayers) {
  room_.entries = 2;
  ASSERT_TRUE(apply(TarMaker().file("a").file("b")));
  EXPECT_THAT(refusal(TarMaker().file("c")), HasSubstr("entries in all layers"));
  room_ = {.bytes = 10, .entries = 10};
  ASSERT_TRUE(apply(TarMaker().file("a", "12345678")));
  EXPECT_THAT(refusal(TarMaker().file("c", "123")), HasSubstr("bytes in all layers"));
}

TEST_F(Layers, AnArchiveThatIsCutOffIsRefused) {
  const Bytes whole = TarMaker().file("a", std::string(5000, 'a')).finish();
  for (const std::size_t size : {std::size_t{100}, std::size_t{511}, std::size_t{600}, std::size_t{5000}}) {
    const auto applied = apply_bytes(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    ASSERT_FALSE(applied) << size;
    EXPECT_EQ(applied.error().code, Code::malformed) << applied.error().message;
  }
  EXPECT_FALSE(apply_bytes(Bytes(whole.begin(), whole.begin() + 300)));
}

TEST_F(Layers, ALayerIsNoRootFileSystem) {
  options_.has_whiteouts = false;
  EXPECT_THAT(refusal(TarMaker().file("etc/.wh.passwd")), HasSubstr("one layer of a container image"));
}

}  // namespace
}  // namespace instar::publisher
