#include "core/delta/tree_alignment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/delta/testing/delta_fixture.hpp"

namespace instar::delta {
namespace {

using namespace fixture;
using testing::ElementsAre;

// "old=new", "-old", "+new".
std::vector<std::string> aligned(const Entries& base, const Entries& fresh) {
  std::vector<std::string> said;
  for (const Place& place : align_trees(base, fresh)) {
    if (place.fresh == kNoEntry) {
      said.push_back("-" + base[place.base].path);
    } else if (place.base == kNoEntry) {
      said.push_back("+" + fresh[place.fresh].path);
    } else {
      said.push_back(base[place.base].path + "=" + fresh[place.fresh].path);
    }
  }
  return said;
}

TEST(TreeAlignment, PairsWhatHasTheSamePathAndType) {
  EXPECT_THAT(aligned({folder(""), folder("a"), file("a/f"), file("z")},
                      {folder(""), folder("a"), file("a/f", "x"), folder("z")}),
              ElementsAre("=", "a=a", "a/f=a/f", "-z", "+z"));
}

TEST(TreeAlignment, FindsAFileThatWasRenamedByItsContentOrItsName) {
  EXPECT_THAT(aligned({folder(""), file("apple", "1"), file("x-1.2", "2")},
                      {folder(""), file("berry", "1"), file("x-1.3", "3")}),
              ElementsAre("=", "apple=berry", "x-1.2=x-1.3"));
  EXPECT_THAT(aligned({folder(""), file("apple", "1")}, {folder(""), file("berry", "2")}),
              ElementsAre("=", "-apple", "+berry"));
}

TEST(TreeAlignment, FindsAFolderThatWasRenamedByWhatItHolds) {
  EXPECT_THAT(aligned({folder(""), folder("a"), file("a/one", "1"), file("a/two", "2")},
                      {folder(""), folder("z"), file("z/one", "3"), file("z/two", "4")}),
              ElementsAre("=", "a=z", "a/one=z/one", "a/two=z/two"));
}

TEST(TreeAlignment, RemovesWholeFoldersBeforeItInserts) {
  EXPECT_THAT(aligned({folder(""), folder("a"), file("a/one", "1")}, {folder(""), folder("zzz"), file("zzz/q", "3")}),
              ElementsAre("=", "-a", "-a/one", "+zzz", "+zzz/q"));
}

TEST(TreeAlignment, KeepsTheOrderOfBothAmongWhatWasRenamed) {
  // Either "v1" became "v3" and "v2" was removed, or the other way round, but both may not be renamed crosswise.
  EXPECT_THAT(aligned({folder(""), file("v1", "1"), file("v2", "2")}, {folder(""), file("v3", "2"), file("v4", "1")}),
              testing::AnyOf(ElementsAre("=", "-v1", "v2=v3", "+v4"), ElementsAre("=", "+v3", "v1=v4", "-v2")));
}

TEST(TreeAlignment, HandlesFoldersWithThousandsOfUnmatchedEntriesInTime) {
  Entries base{folder("")};
  Entries fresh{folder("")};
  for (int i = 10'000; i < 30'000; ++i) {
    base.push_back(file("a" + std::to_string(i), std::to_string(i)));
    fresh.push_back(file("b" + std::to_string(i), std::to_string(i)));
  }
  std::size_t pairs = 0;
  for (const Place& place : align_trees(base, fresh))
    pairs += place.base != kNoEntry && place.fresh != kNoEntry ? 1 : 0;
  EXPECT_EQ(pairs, base.size());
}

}  // namespace
}  // namespace instar::delta
