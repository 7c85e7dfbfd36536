#include "core/delta/index_delta.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "core/delta/testing/delta_fixture.hpp"

namespace instar::delta {
namespace {

Bytes read_index_fixture(const std::string& name) {
  std::ifstream in(std::string(INSTAR_SOURCE_DIR) + "/tests/fixtures/" + name);
  std::string hex;
  for (std::string digits; in >> digits;) hex += digits;
  Bytes bytes;
  EXPECT_TRUE(from_hex(hex, bytes));
  return bytes;
}

using namespace fixture;

// The tree of docs/formats/index.md.
Entries example_base() {
  return artifact::read_index(read_index_fixture("index.hex")).value();
}

// The tree of docs/formats/index-delta.md.
Entries example_tree() {
  Entries base = example_base();
  Entry tool = base[2];
  tool.size = 12;
  tool.content = trust::digest(as_bytes("#!/bin/bash\n"));
  Entry before = base[2];
  before.path = "bin/tool.old";
  before.xattrs.clear();
  Entry config = base[5];
  config.path = "conf/config";
  config.mode = 0600;
  Entry note = file("note", "new\n");
  note.mode = 0640;
  return {base[0],
          base[1],
          tool,
          before,
          folder("conf"),
          config,
          link(EntryType::symlink, "conf/current", "../bin/tool.old"),
          file("new", "new\n", 0600),
          note};
}

// The entries of the delta of two trees, after a check that a device can rebuild the new index with it.
IndexDelta delta_of(const Entries& base, const Entries& fresh) {
  auto delta = make_index_delta(base, fresh);
  EXPECT_TRUE(delta) << delta.error().message;
  if (!delta) return {};
  const auto rebuilt = rebuild(base, delta->bytes, carried(*delta));
  EXPECT_TRUE(rebuilt) << rebuilt.error().message;
  if (rebuilt) {
    EXPECT_EQ(*rebuilt, *index_of(fresh));
  }
  return *std::move(delta);
}

TEST(IndexDelta, MatchesTheDocumentedExample) {
  const IndexDelta delta = delta_of(example_base(), example_tree());
  EXPECT_EQ(to_hex(delta.bytes), to_hex(read_index_fixture("index-delta.hex")));
}

TEST(IndexDelta, ReadsTheSameFromAnyCutOfItsBytes) {
  const IndexDelta delta = delta_of(example_base(), example_tree());
  const auto whole = read_delta(example_base(), delta.bytes);
  ASSERT_TRUE(whole);
  for (std::size_t step = 1; step <= delta.bytes.size(); ++step) {
    const auto cut = read_delta(example_base(), delta.bytes, step);
    ASSERT_TRUE(cut) << step;
    EXPECT_EQ(*cut, *whole) << step;
  }
}

TEST(IndexDelta, NoFlippedBitGivesTheSameIndex) {
  const IndexDelta delta = delta_of(example_base(), example_tree());
  const Bytes wanted = *index_of(example_tree());
  std::size_t refused = 0;
  for (std::size_t at = 0; at < delta.bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes broken = delta.bytes;
      broken[at] = static_cast<std::uint8_t>(broken[at] ^ 1 << bit);
      const auto rebuilt = rebuild(example_base(), broken, carried(delta));
      if (rebuilt) {
        EXPECT_NE(*rebuilt, wanted) << "byte " << at << " bit " << bit;
      } else {
        EXPECT_FALSE(rebuilt.error().message.empty());
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, delta.bytes.size() * 4);
}

TEST(IndexDelta, ReaderAndMakerAgreeOnEachEntry) {
  const IndexDelta delta = delta_of(example_base(), example_tree());
  auto read = read_delta(example_base(), delta.bytes);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), delta.entries.size());
  for (std::size_t i = 0; i < read->size(); ++i) {
    NewEntry& entry = (*read)[i];
    if (entry.entry.content.is_zero()) {
      entry.entry.size = delta.entries[i].entry.size;
      entry.entry.content = delta.entries[i].entry.content;
    }
    EXPECT_EQ(entry, delta.entries[i]) << entry.entry.path;
  }
}

TEST(IndexDelta, OfTwoEqualTreesIsTwoBytes) {
  EXPECT_EQ(delta_of(example_base(), example_base()).bytes.size(), 2U);
  EXPECT_EQ(delta_of({folder("")}, {folder("")}).bytes.size(), 2U);
}

TEST(IndexDelta, CarriesNoSizeAndNoHashOfChangedFiles) {
  Entries base{folder("")};
  Entries fresh{folder("")};
  for (int i = 1000; i < 2000; ++i) {
    base.push_back(file("f" + std::to_string(i), "old" + std::to_string(i)));
    fresh.push_back(file("f" + std::to_string(i), "new" + std::to_string(i)));
  }
  const IndexDelta delta = delta_of(base, fresh);
  EXPECT_EQ(delta.bytes.size(), 5U);
  EXPECT_EQ(carried(delta).size(), 1000U);
}

TEST(IndexDelta, PassesOverFoldersAndLinksAmongChangedFiles) {
  Entries base{folder("")};
  Entries fresh{folder("")};
  for (const char* name : {"a", "b", "c"}) {
    const std::string path = name;
    for (Entries* tree : {&base, &fresh}) {
      tree->push_back(folder(path));
      tree->push_back(file(path + "/f", tree == &base ? path + "1" : path + "2"));
      tree->push_back(link(EntryType::symlink, path + "/s", "f"));
    }
  }
  EXPECT_EQ(delta_of(base, fresh).bytes.size(), 3U);
}

TEST(IndexDelta, NamesTheFileBeforeForAFileThatIsDecoded) {
  const IndexDelta delta = delta_of({folder(""), file("a", "1"), file("b-1.0", "2")},
                                    {folder(""), file("a", "3"), file("b-1.1", "4"), file("other", "5")});
  EXPECT_EQ(delta.entries[1].from, ContentFrom::decode);
  EXPECT_EQ(delta.entries[1].source, "a");
  EXPECT_EQ(delta.entries[2].from, ContentFrom::decode);
  EXPECT_EQ(delta.entries[2].source, "b-1.0");
  EXPECT_EQ(delta.entries[3].from, ContentFrom::decode);
  EXPECT_EQ(delta.entries[3].source, "");
}

TEST(IndexDelta, ARenamedFolderCostsOnlyItsName) {
  Entries base{folder(""), folder("lib"), folder("lib/6.1.0-28")};
  Entries fresh{folder(""), folder("lib"), folder("lib/6.1.0-29")};
  for (int i = 1000; i < 1500; ++i) {
    base.push_back(file("lib/6.1.0-28/m" + std::to_string(i), std::to_string(i)));
    fresh.push_back(file("lib/6.1.0-29/m" + std::to_string(i), std::to_string(i)));
    base.push_back(link(EntryType::hardlink, base.back().path + "x", base.back().path));
    fresh.push_back(link(EntryType::hardlink, fresh.back().path + "x", fresh.back().path));
  }
  const IndexDelta delta = delta_of(base, fresh);
  EXPECT_LE(delta.bytes.size(), 10U);
  EXPECT_EQ(delta.entries[3].from, ContentFrom::base_path);
  EXPECT_EQ(delta.entries[3].source, "lib/6.1.0-28/m1000");
  EXPECT_TRUE(delta.entries[3].same_metadata);
}

TEST(IndexDelta, FoldersRenamedInsideRenamedFolders) {
  const Entries base{folder(""),
                     folder("a1"),
                     folder("a1/b1"),
                     folder("a1/b1/c1"),
                     file("a1/b1/c1/f", "1"),
                     file("a1/b1/g", "2"),
                     file("a1/h", "3"),
                     link(EntryType::hardlink, "a1/i", "a1/b1/c1/f"),
                     file("z", "4")};
  const Entries fresh{folder(""),
                      folder("a2"),
                      folder("a2/b2"),
                      folder("a2/b2/c2"),
                      file("a2/b2/c2/f", "1"),
                      file("a2/b2/g", "2"),
                      file("a2/h", "3"),
                      link(EntryType::hardlink, "a2/i", "a2/b2/c2/f"),
                      file("z", "4")};
  const IndexDelta delta = delta_of(base, fresh);
  EXPECT_EQ(delta.entries[4].source, "a1/b1/c1/f");
  EXPECT_EQ(delta.entries[5].source, "a1/b1/g");
  EXPECT_EQ(delta.entries[6].source, "a1/h");
  EXPECT_TRUE(carried(delta).empty());
}

TEST(IndexDelta, FindsContentElsewhereInTheBaseAndInTheNewTree) {
  const IndexDelta delta = delta_of({folder(""), folder("a"), file("a/one", "1"), file("a/two", "2"), file("z", "3")},
                                    {folder(""), file("b", "2"), file("c", "new"), file("d", "new"), file("z", "new")});
  EXPECT_EQ(delta.entries[1].from, ContentFrom::base_path);
  EXPECT_EQ(delta.entries[1].source, "a/two");
  EXPECT_FALSE(delta.entries[1].same_metadata);
  EXPECT_EQ(delta.entries[2].from, ContentFrom::decode);
  EXPECT_EQ(delta.entries[3].from, ContentFrom::earlier);
  EXPECT_EQ(delta.entries[3].source, "c");
  EXPECT_EQ(delta.entries[4].from, ContentFrom::earlier);
}

TEST(IndexDelta, OfManyPlacesWithOneContentNamesANearOne) {
  Entries base{folder("")};
  Entries fresh{folder("")};
  for (int i = 10; i < 60; ++i) {
    for (Entries* tree : {&base, &fresh}) {
      tree->push_back(folder("p" + std::to_string(i)));
      tree->push_back(file("p" + std::to_string(i) + "/licence", "free"));
    }
  }
  fresh.push_back(file("p59/licence2", "free"));
  EXPECT_EQ(delta_of(base, fresh).entries.back().source, "p59/licence");
}

TEST(IndexDelta, MetadataAloneLeavesTheContentWhereItIs) {
  Entries fresh = example_base();
  fresh[2].uid = 7;
  fresh[2].xattrs.clear();
  fresh[4].mode = 0700;
  const IndexDelta delta = delta_of(example_base(), fresh);
  EXPECT_EQ(delta.entries[2].from, ContentFrom::base);
  EXPECT_FALSE(delta.entries[2].same_metadata);
  EXPECT_TRUE(carried(delta).empty());
}

TEST(IndexDelta, ATimeThatIsKeptTravelsLikeXattrs) {
  Entries base = example_base();
  base[2].time = 100;
  Entries fresh = base;
  fresh[2].time = 200;
  const IndexDelta delta = delta_of(base, fresh);
  EXPECT_EQ(delta.entries[2].from, ContentFrom::base);
  EXPECT_FALSE(delta.entries[2].same_metadata) << "a file with another time is another file";
  EXPECT_TRUE(carried(delta).empty());
  fresh[2].time.reset();
  EXPECT_FALSE(delta_of(base, fresh).entries[2].entry.time);
  EXPECT_TRUE(delta_of(base, base).entries[2].same_metadata);
}

TEST(IndexDelta, FilesThatBecomeEmptyAndEmptyOnesThatDoNotStaySo) {
  const IndexDelta delta = delta_of({folder(""), file("a", "1"), file("b", ""), file("c", "")},
                                    {folder(""), file("a", ""), file("b", "2"), file("c", "")});
  EXPECT_EQ(delta.entries[1].from, ContentFrom::none);
  EXPECT_EQ(delta.entries[2].from, ContentFrom::decode);
  EXPECT_EQ(delta.entries[2].source, "");
  EXPECT_EQ(delta.entries[3].from, ContentFrom::none);
}

TEST(IndexDelta, EntriesThatChangeTheirType) {
  const Entries one{folder(""), folder("a"), file("a/f"), file("b"), link(EntryType::symlink, "c", "b"), file("d")};
  const Entries two{folder(""),       file("a"),      folder("b"),
                    file("b/f", "x"), file("c", "y"), link(EntryType::hardlink, "d", "a")};
  delta_of(one, two);
  delta_of(two, one);
}

TEST(IndexDelta, AnEmptyBaseAndAnUnrelatedOne) {
  EXPECT_EQ(carried(delta_of({folder("")}, example_tree())).size(), 4U);
  delta_of(example_tree(), {folder("")});
  delta_of({folder(""), folder("x"), file("x/y", "z"), file("zz")}, example_tree());
}

TEST(IndexDelta, IsTheSameBytesEachTime) {
  EXPECT_EQ(delta_of(example_base(), example_tree()).bytes, delta_of(example_base(), example_tree()).bytes);
}

TEST(IndexDelta, RefusesMalformedTrees) {
  EXPECT_EQ(make_index_delta(Entries{}, Entries{folder("")}).error().code, Code::malformed);
  EXPECT_EQ(make_index_delta(Entries{folder("")}, Entries{}).error().code, Code::malformed);
  EXPECT_EQ(make_index_delta(Entries{folder(""), file("b"), file("a")}, Entries{folder("")}).error().code,
            Code::malformed);
  EXPECT_EQ(make_index_delta(Entries{folder("")}, Entries{file("a")}).error().code, Code::malformed);
}

TEST(IndexDelta, RefusesOneContentWithTwoSizes) {
  Entry liar = file("b", "1");
  liar.size = 2;
  EXPECT_EQ(make_index_delta(Entries{folder(""), file("a", "1")}, Entries{folder(""), liar}).error().code,
            Code::malformed);
  EXPECT_EQ(make_index_delta(Entries{folder("")}, Entries{folder(""), file("a", "1"), liar}).error().code,
            Code::malformed);
}

}  // namespace
}  // namespace instar::delta
