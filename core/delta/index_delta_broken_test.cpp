// All ways to break an index delta.
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/delta/index_delta.hpp"
#include "core/delta/testing/delta_fixture.hpp"

namespace instar::delta {
namespace {

using namespace fixture;

// Of each type one; file "a/f" has content, "a/e" has none.
Entries base() {
  Entry device = link(EntryType::char_device, "dev", "");
  device.device_major = 1;
  return {folder(""),
          folder("a"),
          file("a/e", ""),
          file("a/f"),
          link(EntryType::hardlink, "a/h", "a/f"),
          link(EntryType::symlink, "a/s", "f"),
          device,
          link(EntryType::fifo, "pipe", "")};
}

constexpr std::uint8_t kEnd = 0xc7;
constexpr std::uint8_t kKeepAll = 7;
constexpr std::uint8_t kModify = 0xcf;
constexpr std::uint8_t kRenameKeep = 0xd7;
constexpr std::uint8_t kRenameChange = 0xdf;
constexpr std::uint8_t kRenameModify = 0xe7;
// An insert of a file at the end: "z", "q/z" and so on, decoded.
constexpr std::uint8_t kDecodedFile = 0xd1;
constexpr std::uint8_t kFileFromBase = 0xe1;
constexpr std::uint8_t kFileFromEarlier = 0xf1;

Code verdict(Bytes operations) {
  operations.insert(operations.begin(), kIndexDeltaVersion);
  const auto entries = read_delta(base(), operations);
  return entries ? Code::ok : entries.error().code;
}

TEST(BrokenIndexDelta, ReadsWhatIsWrittenByHand) {
  EXPECT_EQ(verdict({kEnd}), Code::ok);
  EXPECT_EQ(verdict({kKeepAll, kDecodedFile, 0, 1, 'z', kEnd}), Code::ok);
  EXPECT_EQ(verdict({0x40, kModify, 8, 0, 1, 1, 'e', kEnd}), Code::ok);  // "a/h" is a hard link to "a/e" now
  EXPECT_EQ(verdict({2, kModify, 1, 0, kEnd}), Code::ok);
}

TEST(BrokenIndexDelta, RefusesEveryTruncation) {
  const Bytes whole{1, 2, kModify, 0x21, 0x80, 3, kRenameKeep, 0, 1, 1, 'g', 0x80, kDecodedFile, 0, 1, 'b', kEnd};
  ASSERT_TRUE(read_delta(base(), whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto entries = read_delta(base(), ByteView(whole).first(size));
    ASSERT_FALSE(entries) << size;
    EXPECT_EQ(entries.error().code, Code::malformed) << size;
  }
}

TEST(BrokenIndexDelta, RefusesBytesAfterItsEnd) {
  EXPECT_EQ(verdict({kEnd, 0}), Code::malformed);
  const Bytes delta{1, kEnd, kEnd};
  const auto entries = read_delta(base(), delta, 1);
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().code, Code::malformed);
}

TEST(BrokenIndexDelta, RefusesALaterVersion) {
  EXPECT_EQ(read_delta(base(), Bytes{2, kEnd}).error().code, Code::unsupported);
  EXPECT_EQ(read_delta(base(), Bytes{0, kEnd}).error().code, Code::unsupported);
}

TEST(BrokenIndexDelta, RefusesRunsLongerThanTheBase) {
  EXPECT_EQ(verdict({kKeepAll, kEnd}), Code::ok);
  EXPECT_EQ(verdict({kKeepAll + 1, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({0x40, kEnd}), Code::ok);
  EXPECT_EQ(verdict({0x41, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({6, 0x80, kEnd}), Code::ok);
  EXPECT_EQ(verdict({6, 0x81, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({63, 0, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({63, 0xff, 0xff, 0xff, 0x7f, kEnd}), Code::too_large);
  EXPECT_EQ(verdict({kKeepAll, kModify, 0x20, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kKeepAll, kRenameKeep, 0, 1, 1, 'x', kEnd}), Code::malformed);
}

TEST(BrokenIndexDelta, RefusesNumbersThatAreNotInTheirShortestForm) {
  EXPECT_EQ(verdict({63, 0x80, 0, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({2, kModify, 1, 0x80, 0, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kKeepAll, kDecodedFile, 0x80, 0, 1, 'z', kEnd}), Code::malformed);
}

TEST(BrokenIndexDelta, RefusesUnknownOperationsAndPlacesOfContent) {
  for (const std::uint8_t operation : Bytes{0xef, 0xf7, 0xff})
    EXPECT_EQ(verdict({operation, 0, 0, 0, kEnd}), Code::malformed);
  for (const std::uint8_t from : Bytes{0xa0, 0xc0, 0xe0}) EXPECT_EQ(verdict({2, kModify, from, kEnd}), Code::malformed);
}

TEST(BrokenIndexDelta, RefusesATreeWithoutItsRoot) {
  EXPECT_EQ(verdict({0x87, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({0x80, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kDecodedFile, 0, 1, 'z', kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kRenameKeep, 0, 0, 1, 'x', kEnd}), Code::malformed);
}

TEST(BrokenIndexDelta, RefusesPathsThatAreOutOfPlace) {
  EXPECT_EQ(verdict({kDecodedFile, 1, 1, 'z', kEnd}), Code::malformed);                 // shares more than there is
  EXPECT_EQ(verdict({kKeepAll, kDecodedFile, 0, 1, 'b', kEnd}), Code::malformed);       // before "pipe"
  EXPECT_EQ(verdict({0, kDecodedFile, 0, 1, 'z', kEnd}), Code::malformed);              // "a" comes after it
  EXPECT_EQ(verdict({kKeepAll, kDecodedFile, 4, 0, kEnd}), Code::malformed);            // "pipe" twice
  EXPECT_EQ(verdict({kKeepAll, kDecodedFile, 4, 2, '/', 'x', kEnd}), Code::malformed);  // in a fifo
  EXPECT_EQ(verdict({kKeepAll, kDecodedFile, 0, 3, 'q', '/', 'z', kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kKeepAll, kDecodedFile, 0, 2, '.', '.', kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kKeepAll, kDecodedFile, 0, 2, '/', 'z', kEnd}), Code::malformed);
}

TEST(BrokenIndexDelta, RefusesAFolderRemovedFromUnderItsFiles) {
  EXPECT_EQ(verdict({0, 0x80, kEnd}), Code::malformed);
}

TEST(BrokenIndexDelta, RefusesInvalidNames) {
  EXPECT_EQ(verdict({0, kRenameKeep, 0, 1, 1, 'b', kEnd}), Code::ok);
  EXPECT_EQ(verdict({0, kRenameKeep, 0, 2, 1, 'b', kEnd}), Code::malformed);  // more than there is
  EXPECT_EQ(verdict({0, kRenameKeep, 1, 1, 1, 'b', kEnd}), Code::malformed);
  EXPECT_EQ(verdict({0, kRenameKeep, 0, 1, 0, kEnd}), Code::malformed);  // nothing left
  EXPECT_EQ(verdict({0, kRenameKeep, 0, 1, 3, 'b', '/', 'c', kEnd}), Code::malformed);
  EXPECT_EQ(verdict({0, kRenameKeep, 0, 1, 2, '.', '.', kEnd}), Code::malformed);
  EXPECT_EQ(verdict({0, kRenameKeep, 0, 1, 2, 'b', 0, kEnd}), Code::malformed);
}

TEST(BrokenIndexDelta, RefusesNamesThatGrowPastTheBound) {
  Bytes delta{0, kRenameKeep, 0, 0, 0xff, 1};
  delta.insert(delta.end(), limits::kPathComponentBytesMax, 'x');
  delta.push_back(kEnd);
  EXPECT_EQ(verdict(delta), Code::too_large);
}

TEST(BrokenIndexDelta, RefusesToChangeContentThatIsNotThere) {
  EXPECT_EQ(verdict({1, kRenameChange, 0, 1, 1, 'b', kEnd}), Code::malformed);        // "a/e" is empty
  EXPECT_EQ(verdict({0, kRenameChange, 0, 1, 1, 'b', kEnd}), Code::malformed);        // "a" is a folder
  EXPECT_EQ(verdict({2, kRenameChange, 0, 1, 1, 'g', 0x80, kEnd}), Code::ok);         // "a/f", without "a/h"
  EXPECT_EQ(verdict({4, kModify, 0x20, kEnd}), Code::malformed);                      // "a/s" is a symlink
  EXPECT_EQ(verdict({0, kRenameModify, 0, 1, 1, 'b', 0x20, kEnd}), Code::malformed);  // "a" is a folder
}

TEST(BrokenIndexDelta, RefusesToChangeFieldsThatATypeDoesNotHave) {
  // Entry of the base, then the fields that it has.
  constexpr std::uint8_t kFields[] = {7, 7, 7, 7, 8, 10, 19, 3};
  for (std::uint8_t at = 0; at < std::size(kFields); ++at) {
    for (const std::uint8_t field : Bytes{1, 2, 4, 8, 16}) {
      Bytes delta;
      if (at > 0) delta.push_back(static_cast<std::uint8_t>(at - 1));
      delta.insert(delta.end(), {kModify, field});
      switch (field) {
        case 1: delta.push_back(0); break;
        case 2: delta.insert(delta.end(), {5, 5}); break;
        case 4: delta.push_back(0); break;
        case 8: delta.insert(delta.end(), {0, 0, 0}); break;
        default: delta.insert(delta.end(), {1, 2}); break;
      }
      delta.push_back(kEnd);
      EXPECT_EQ(verdict(delta), (kFields[at] & field) != 0 ? Code::ok : Code::malformed)
          << int{at} << " " << int{field};
    }
  }
}

TEST(BrokenIndexDelta, RefusesFieldsThatAnInsertedEntryDoesNotHave) {
  EXPECT_EQ(verdict({kKeepAll, 0xd0, 0, 1, 'z', kEnd}), Code::malformed);                // a folder with content
  EXPECT_EQ(verdict({kKeepAll, 0xd2, 0, 1, 'z', 0, 0, 1, 'x', kEnd}), Code::malformed);  // a symlink with content
  EXPECT_EQ(verdict({kKeepAll, 0xcb, 0, 1, 'z', 0, 0, 0, 1, 3, 'a', '/', 'f', kEnd}),
            Code::malformed);  // a hard link with an owner
}

TEST(BrokenIndexDelta, RefusesLinksThatLeadOut) {
  EXPECT_EQ(verdict({kKeepAll, 0xc3, 0, 1, 'z', 0, 1, 3, 'a', '/', 'f', kEnd}), Code::ok);
  EXPECT_EQ(verdict({kKeepAll, 0xc3, 0, 1, 'z', 0, 1, 4, '.', '.', '/', 'f', kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kKeepAll, 0xc3, 0, 1, 'z', 0, 1, 0, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kKeepAll, 0xc3, 0, 1, 'z', 0, 2, 0, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kKeepAll, 0xc2, 0, 1, 'z', 0, 1, 1, 'x', kEnd}), Code::ok);
  EXPECT_EQ(verdict({kKeepAll, 0xc2, 0, 1, 'z', 0, 1, 2, '.', '.', kEnd}), Code::refused);
}

TEST(BrokenIndexDelta, RefusesSourcesThatLeadOutOrComeLater) {
  EXPECT_EQ(verdict({kKeepAll, kFileFromBase, 0, 1, 'z', 0, 1, 3, 'a', '/', 'f', kEnd}), Code::ok);
  EXPECT_EQ(verdict({kKeepAll, kFileFromBase, 0, 1, 'z', 0, 1, 4, '.', '.', '/', 'f', kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kKeepAll, kFileFromBase, 0, 1, 'z', 0, 1, 2, '/', 'f', kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kKeepAll, kFileFromBase, 0, 1, 'z', 0, 1, 0, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kKeepAll, kFileFromEarlier, 0, 1, 'z', 0, 1, 3, 'a', '/', 'f', kEnd}), Code::ok);
  EXPECT_EQ(verdict({kKeepAll, kFileFromEarlier, 0, 1, 'z', 0, 0, 0, kEnd}), Code::malformed);
  EXPECT_EQ(verdict({kKeepAll, kFileFromEarlier, 0, 1, 'z', 0, 0, 1, 'z', kEnd}), Code::malformed);
  EXPECT_EQ(verdict({2, kModify, 0x60, 0, 3, 1, 'z', kEnd}), Code::malformed);  // "a/f" out of "z"
}

TEST(BrokenIndexDelta, RefusesLengthsOverTheirBoundsBeforeTakingMemory) {
  EXPECT_EQ(verdict({kKeepAll, kDecodedFile, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f}),
            Code::too_large);
  EXPECT_EQ(verdict({kKeepAll, kDecodedFile, 0x80, 0x80, 0x40}), Code::too_large);
  EXPECT_EQ(verdict({kKeepAll, kFileFromBase, 0, 1, 'z', 0x80, 0x80, 0x40}), Code::too_large);
  EXPECT_EQ(verdict({kKeepAll, kFileFromBase, 0, 1, 'z', 0, 0x80, 0x80, 0x40}), Code::too_large);
  EXPECT_EQ(verdict({0, kRenameKeep, 0, 0, 0x80, 0x80, 0x40}), Code::too_large);
  EXPECT_EQ(verdict({2, kModify, 4, 17}), Code::too_large);
  EXPECT_EQ(verdict({2, kModify, 4, 1, 0x80, 0x80, 0x40}), Code::too_large);
}

TEST(BrokenIndexDelta, RefusesDevicesUnlessAllowed) {
  const Entries root{folder("")};
  const Bytes delta{1, 0, 0xc6, 0, 1, 'p', kEnd};
  IndexDeltaReader reader(base_of(root), bytes_of(delta));
  ASSERT_TRUE(reader.next());
  const auto entry = reader.next();
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error().code, Code::refused);
}

TEST(BrokenIndexDelta, RefusesMoreEntriesThanATreeMayHave) {
  Entries tree{folder("")};
  for (std::size_t i = 1; i < limits::kEntriesMax; ++i) tree.push_back(folder(std::to_string(1'000'000 + i)));
  EXPECT_TRUE(read_delta(tree, Bytes{1, kEnd}));
  EXPECT_EQ(read_delta(tree, Bytes{1, 0, 0xc0, 0, 1, '0', kEnd}).error().code, Code::too_large);
}

TEST(BrokenIndexDelta, ErrorsOfTheInputsEndTheReading) {
  const Entries tree = base();
  const Bytes delta{1, kEnd};
  IndexDeltaReader no_base([]() -> Result<const Entry*> { return fail(Code::io, "worn out"); }, bytes_of(delta),
                           kAllRules);
  EXPECT_EQ(no_base.next().error().code, Code::io);
  IndexDeltaReader no_bytes(
      base_of(tree), [](std::span<std::uint8_t>) -> Result<std::size_t> { return fail(Code::corrupt, "a bad chunk"); });
  EXPECT_EQ(no_bytes.next().error().code, Code::corrupt);
}

}  // namespace
}  // namespace instar::delta
