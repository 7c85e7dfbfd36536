#include "core/artifact/index.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/artifact/acl.hpp"
#include "core/artifact/image.hpp"
#include "core/artifact/testing/acls.hpp"
#include "core/artifact/varint.hpp"
#include "core/base/limits.hpp"

namespace instar::artifact {
namespace {

Entry folder(std::string path) {
  Entry entry;
  entry.path = std::move(path);
  entry.type = EntryType::directory;
  entry.mode = 0755;
  return entry;
}

Entry file(std::string path, std::string_view content = "hello\n") {
  Entry entry;
  entry.path = std::move(path);
  entry.mode = 0644;
  entry.size = content.size();
  entry.content = trust::digest(as_bytes(content));
  return entry;
}

Entry link(EntryType type, std::string path, std::string target) {
  Entry entry;
  entry.path = std::move(path);
  entry.type = type;
  entry.target = std::move(target);
  return entry;
}

// The tree of docs/formats/index.md.
std::vector<Entry> example_tree() {
  Entry tool = file("bin/tool", "#!/bin/sh\n");
  tool.mode = 04755;
  tool.xattrs = {{"user.origin", to_bytes("ci")}};
  Entry config = file("etc/config");
  config.uid = 1000;
  config.gid = 100;
  return {folder(""),
          folder("bin"),
          tool,
          link(EntryType::hardlink, "bin/tool-2", "bin/tool"),
          folder("etc"),
          config,
          link(EntryType::symlink, "etc/current", "../bin/tool")};
}

Result<Bytes> write_index(const std::vector<Entry>& entries, IndexRules rules = {}) {
  Bytes bytes;
  IndexWriter writer(bytes, rules);
  for (const Entry& entry : entries) INSTAR_CHECK(writer.append(entry));
  INSTAR_TRY([[maybe_unused]] const ArtifactId id, writer.finish());
  return bytes;
}

Status check_all(const std::vector<Entry>& entries, IndexRules rules = {}) {
  IndexChecker checker(rules);
  for (const Entry& entry : entries) INSTAR_CHECK(checker.check(entry));
  return {};
}

// The checker's result for `entry` right after the root folder and one folder "a" with a file "a/f" in it.
Code verdict(const Entry& entry, IndexRules rules = {}) {
  const auto status = check_all({folder(""), folder("a"), file("a/f"), entry}, rules);
  return status ? Code::ok : status.error().code;
}

Bytes read_fixture(const std::string& name) {
  std::ifstream in(std::string(INSTAR_SOURCE_DIR) + "/tests/fixtures/" + name);
  std::stringstream text;
  text << in.rdbuf();
  std::string hex;
  for (const char c : text.str()) {
    if (c != ' ' && c != '\n') hex.push_back(c);
  }
  Bytes bytes;
  EXPECT_TRUE(from_hex(hex, bytes));
  return bytes;
}

TEST(Index, MatchesTheDocumentedExample) {
  const auto bytes = write_index(example_tree());
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_EQ(to_hex(*bytes), to_hex(read_fixture("index.hex")));
  const auto entries = read_index(read_fixture("index.hex"));
  ASSERT_TRUE(entries) << entries.error().message;
  EXPECT_EQ(*entries, example_tree());
}

TEST(Index, GivesTheSameEntriesForAnyCutOfTheStream) {
  const Bytes bytes = *write_index(example_tree());
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    std::vector<Entry> entries;
    IndexReader reader([&](const Entry& entry) -> Status {
      entries.push_back(entry);
      return {};
    });
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      ASSERT_TRUE(reader.feed(ByteView(bytes).subspan(at, std::min(step, bytes.size() - at))));
    }
    const auto id = reader.finish();
    ASSERT_TRUE(id);
    EXPECT_EQ(*id, trust::digest(bytes));
    EXPECT_EQ(entries, example_tree());
  }
}

TEST(Index, NoFlippedByteGivesTheSameTree) {
  const Bytes bytes = *write_index(example_tree());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes broken = bytes;
      broken[at] = static_cast<std::uint8_t>(broken[at] ^ 1 << bit);
      const auto entries = read_index(broken);
      if (entries) {
        EXPECT_NE(*entries, example_tree()) << "byte " << at;
        // What is accepted is canonical: it encodes to the same bytes from which it was read.
        EXPECT_EQ(to_hex(*write_index(*entries)), to_hex(broken)) << "byte " << at;
      }
    }
  }
}

TEST(Index, RefusesEveryTruncation) {
  const Bytes bytes = *write_index(example_tree());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto entries = read_index(ByteView(bytes).first(size));
    ASSERT_FALSE(entries) << size;
    EXPECT_EQ(entries.error().code, Code::malformed);
  }
}

TEST(Index, RefusesBytesAfterItsEnd) {
  Bytes bytes = *write_index(example_tree());
  bytes.push_back(0);
  EXPECT_EQ(read_index(bytes).error().code, Code::malformed);
}

TEST(Index, RefusesALaterVersionAndOtherFiles) {
  Bytes bytes = *write_index(example_tree());
  bytes[4] = 2;
  EXPECT_EQ(read_index(bytes).error().code, Code::unsupported);
  bytes[0] = 'X';
  EXPECT_EQ(read_index(bytes).error().code, Code::malformed);
}

TEST(Index, RefusesAWrongEntryCount) {
  Bytes bytes = *write_index(example_tree());
  bytes.back() = 6;
  EXPECT_EQ(read_index(bytes).error().code, Code::malformed);
  bytes.back() = 8;
  EXPECT_EQ(read_index(bytes).error().code, Code::malformed);
}

// Header, root folder (mode 0755), then `tail`.
Bytes by_hand(const Bytes& tail) {
  Bytes bytes{'I', 'N', 'S', 'I', 1, 0, 0, 0, 0xed, 3, 0, 0, 0};
  bytes.insert(bytes.end(), tail.begin(), tail.end());
  return bytes;
}

TEST(Index, ReadsWhatIsWrittenByHand) {
  EXPECT_TRUE(read_index(by_hand({0xff, 1})));
  // Folder "a", folder "a/b".
  EXPECT_TRUE(read_index(by_hand({0, 0, 1, 'a', 0xed, 3, 0, 0, 0, 0, 1, 2, '/', 'b', 0xed, 3, 0, 0, 0, 0xff, 3})));
}

TEST(Index, RefusesANumberThatIsNotInItsShortestForm) {
  EXPECT_EQ(read_index(by_hand({0xff, 0x81, 0})).error().code, Code::malformed);
  EXPECT_EQ(read_index(by_hand({0, 0, 1, 'a', 0xed, 0x83, 0, 0, 0, 0, 0xff, 2})).error().code, Code::malformed);
}

TEST(Index, RefusesAPrefixThatIsNotTheLongest) {
  // "a", then "a/b" that claims to share nothing.
  EXPECT_EQ(read_index(by_hand({0, 0, 1, 'a', 0xed, 3, 0, 0, 0, 0, 0, 3, 'a', '/', 'b', 0xed, 3, 0, 0, 0, 0xff, 3}))
                .error()
                .code,
            Code::malformed);
}

TEST(Index, RefusesAPrefixLongerThanThePathBefore) {
  EXPECT_EQ(read_index(by_hand({0, 1, 1, 'a', 0xed, 3, 0, 0, 0, 0xff, 2})).error().code, Code::malformed);
}

TEST(Index, RefusesLengthsOverTheirBoundsBeforeTakingMemory) {
  // A path of 2^62 bytes, a link target of 2^20, 17 xattrs, an xattr of 2^20.
  EXPECT_EQ(read_index(by_hand({0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f})).error().code,
            Code::too_large);
  EXPECT_EQ(read_index(by_hand({2, 0, 1, 'l', 0, 0, 0x80, 0x80, 0x40})).error().code, Code::too_large);
  EXPECT_EQ(read_index(by_hand({0, 0, 1, 'a', 0xed, 3, 0, 0, 17})).error().code, Code::too_large);
  EXPECT_EQ(read_index(by_hand({0, 0, 1, 'a', 0xed, 3, 0, 0, 1, 0x80, 0x80, 0x40})).error().code, Code::too_large);
}

// The number of xattrs with 32 added, then the time.
TEST(Index, KeepsTimesOfFilesAndFoldersThatHaveOne) {
  Entry timed = file("b");
  timed.time = 0x80;
  timed.xattrs = {{"user.a", to_bytes("1")}};
  Entry root = folder("");
  root.time = 0;
  const std::vector<Entry> entries{root, file("a"), timed};
  Bytes bytes;
  IndexWriter writer(bytes);
  for (const Entry& entry : entries) ASSERT_TRUE(writer.append(entry));
  ASSERT_TRUE(writer.finish());
  const auto read = read_index(bytes);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, entries);
  EXPECT_TRUE(read_index(by_hand({0, 0, 1, 'a', 0xed, 3, 0, 0, 32, 5, 0xff, 2})));
  EXPECT_EQ(read_index(by_hand({0, 0, 1, 'a', 0xed, 3, 0, 0, 49, 5, 0xff, 2})).error().code, Code::too_large)
      << "17 xattrs and a time";
  EXPECT_EQ(read_index(by_hand({0, 0, 1, 'a', 0xed, 3, 0, 0, 32, 0xff, 0xff, 0xff, 0xff, 0x1f})).error().code,
            Code::too_large)
      << "a time of over 32 bits";
  Entry wrong = link(EntryType::symlink, "l", "b");
  wrong.time = 1;
  EXPECT_EQ(verdict(wrong), Code::malformed) << "a symlink has none";
}

TEST(Index, RefusesXattrsThatTogetherAreTooLarge) {
  // One value of 3000 bytes, then one that says 1200: over the bound before its bytes are there.
  Bytes tail{0, 0, 1, 'a', 0xed, 3, 0, 0, 2, 6, 'u', 's', 'e', 'r', '.', 'a', 0xb8, 0x17};
  tail.insert(tail.end(), 3000, 'x');
  const Bytes second{6, 'u', 's', 'e', 'r', '.', 'b', 0xb0, 0x09};
  tail.insert(tail.end(), second.begin(), second.end());
  EXPECT_EQ(read_index(by_hand(tail)).error().code, Code::too_large);
}

TEST(Index, RefusesUnknownEntryTypes) {
  EXPECT_EQ(read_index(by_hand({7, 0, 1, 'a'})).error().code, Code::malformed);
  EXPECT_EQ(read_index(by_hand({0x80, 0, 1, 'a'})).error().code, Code::malformed);
}

TEST(Index, AVisitorsErrorEndsTheReading) {
  IndexReader reader([](const Entry&) -> Status { return fail(Code::io, "full"); });
  const auto status = reader.feed(*write_index(example_tree()));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::io);
}

TEST(Index, OrdersFoldersRightBeforeWhatTheyHold) {
  EXPECT_TRUE(path_before("", "a"));
  EXPECT_TRUE(path_before("a", "a/b"));
  EXPECT_TRUE(path_before("a/b", "a.c"));
  EXPECT_TRUE(path_before("a/z/z", "a b"));
  EXPECT_TRUE(path_before("a", "\xc3\xa4"));
  EXPECT_FALSE(path_before("a", "a"));
  EXPECT_FALSE(path_before("a.c", "a/b"));
}

TEST(Index, AWriterNeedsARoot) {
  Bytes bytes;
  IndexWriter writer(bytes);
  EXPECT_FALSE(writer.append(file("a")));
  Bytes other;
  EXPECT_EQ(IndexWriter(other).finish().error().code, Code::invalid_argument);
}

TEST(Index, AWriterPassesBytesOnBeforeTheEnd) {
  Bytes whole;
  IndexWriter plain(whole);
  Bytes streamed;
  std::size_t largest = 0;
  IndexWriter stream([&](ByteView piece) -> Status {
    streamed.insert(streamed.end(), piece.begin(), piece.end());
    largest = std::max(largest, piece.size());
    return {};
  });
  ASSERT_TRUE(plain.append(folder("")));
  ASSERT_TRUE(stream.append(folder("")));
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(plain.append(file("f" + std::to_string(10000 + i))));
    ASSERT_TRUE(stream.append(file("f" + std::to_string(10000 + i))));
  }
  EXPECT_GT(streamed.size(), 100'000U);
  const auto id = stream.finish();
  ASSERT_TRUE(id);
  EXPECT_EQ(*id, plain.finish().value());
  EXPECT_EQ(*id, trust::digest(streamed));
  EXPECT_EQ(streamed, whole);
  EXPECT_LT(largest, 5000U);
}

TEST(Index, ASinksErrorEndsTheWriting) {
  IndexWriter writer([](ByteView) -> Status { return fail(Code::no_space, "full"); });
  ASSERT_TRUE(writer.append(folder("")));
  EXPECT_EQ(writer.finish().error().code, Code::no_space);
}

TEST(Index, AWriterStopsAtTheBoundOfBytes) {
  std::uint64_t bytes = 0;
  IndexWriter writer([&](ByteView piece) -> Status {
    bytes += piece.size();
    return {};
  });
  ASSERT_TRUE(writer.append(folder("")));
  Entry entry = file("");
  entry.xattrs = {{"user.a", Bytes(limits::kXattrBytesMax - 6)}};
  Status status;
  for (int i = 0; i < 10'000 && status; ++i) {
    entry.path = "f" + std::to_string(10000 + i);
    status = writer.append(entry);
  }
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::too_large);
  EXPECT_LE(bytes, limits::kIndexBytesMax);
}

TEST(IndexChecker, AcceptsAWellFormedTree) {
  EXPECT_TRUE(check_all(example_tree()));
  EXPECT_EQ(verdict(file("b")), Code::ok);
}

TEST(IndexChecker, RefusesPathsThatLeaveTheTree) {
  EXPECT_EQ(verdict(file("../b")), Code::malformed);
  EXPECT_EQ(verdict(file("b/../../c")), Code::malformed);
  EXPECT_EQ(verdict(file("/etc/passwd")), Code::malformed);
  EXPECT_EQ(verdict(file("..")), Code::malformed);
}

TEST(IndexChecker, RefusesEmptyAndDotComponents) {
  EXPECT_EQ(verdict(file("a//g")), Code::malformed);
  EXPECT_EQ(verdict(file("a/./g")), Code::malformed);
  EXPECT_EQ(verdict(file("a/g/")), Code::malformed);
  EXPECT_EQ(verdict(file(".")), Code::malformed);
}

TEST(IndexChecker, RefusesNulBytes) {
  EXPECT_EQ(verdict(file(std::string("a/g\0h", 5))), Code::malformed);
  EXPECT_EQ(verdict(link(EntryType::symlink, "b", std::string("x\0y", 3))), Code::malformed);
}

TEST(IndexChecker, RefusesDuplicates) {
  EXPECT_EQ(verdict(file("a/f")), Code::malformed);
  EXPECT_EQ(verdict(folder("a")), Code::malformed);
  EXPECT_EQ(verdict(folder("")), Code::malformed);
}

TEST(IndexChecker, RefusesPathsOutOfOrder) {
  EXPECT_EQ(verdict(file("a/e")), Code::malformed);
  EXPECT_EQ(verdict(file("A")), Code::malformed);
  EXPECT_FALSE(check_all({folder(""), folder("a"), file("a.c"), file("a/b")}));
}

TEST(IndexChecker, RefusesAMissingParent) {
  EXPECT_EQ(verdict(file("b/c")), Code::malformed);
  EXPECT_EQ(verdict(file("a/x/y")), Code::malformed);
}

TEST(IndexChecker, RefusesAParentThatIsNoFolder) {
  EXPECT_EQ(verdict(file("a/f/g")), Code::malformed);
  EXPECT_FALSE(check_all({folder(""), link(EntryType::symlink, "s", "/etc"), file("s/passwd")}));
}

TEST(IndexChecker, RefusesAnEntryInAFolderThatHasEnded) {
  EXPECT_FALSE(check_all({folder(""), folder("a"), file("a/b"), file("b"), file("a/c")}));
}

TEST(IndexChecker, NeedsTheRootFolderFirst) {
  EXPECT_FALSE(check_all({file("")}));
  EXPECT_FALSE(check_all({folder("a")}));
  EXPECT_FALSE(check_all({link(EntryType::symlink, "", "x")}));
}

TEST(IndexChecker, RefusesSymlinksThatLeadAboveTheRoot) {
  EXPECT_EQ(verdict(link(EntryType::symlink, "a/g", "../../etc/passwd")), Code::refused);
  EXPECT_EQ(verdict(link(EntryType::symlink, "b", "..")), Code::refused);
  EXPECT_EQ(verdict(link(EntryType::symlink, "b", "a/../../x")), Code::refused);
  EXPECT_EQ(verdict(link(EntryType::symlink, "a/g", "./.././../a")), Code::refused);
}

TEST(IndexChecker, AcceptsSymlinksThatStayInside) {
  EXPECT_EQ(verdict(link(EntryType::symlink, "a/g", "../a/f")), Code::ok);
  EXPECT_EQ(verdict(link(EntryType::symlink, "a/g", "..")), Code::ok);
  EXPECT_EQ(verdict(link(EntryType::symlink, "b", "a//f/")), Code::ok);
  EXPECT_EQ(verdict(link(EntryType::symlink, "b", "/etc/passwd")), Code::ok);
  EXPECT_EQ(verdict(link(EntryType::symlink, "b", "dangling")), Code::ok);
}

TEST(IndexChecker, RefusesAnEmptySymlink) {
  EXPECT_EQ(verdict(link(EntryType::symlink, "b", "")), Code::malformed);
}

TEST(IndexChecker, AcceptsHardlinksToEarlierFilesOnly) {
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "a/f")), Code::ok);
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "c")), Code::malformed);
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "b")), Code::malformed);
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "a")), Code::malformed);
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "../a/f")), Code::malformed);
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "/a/f")), Code::malformed);
  EXPECT_FALSE(check_all({folder(""), link(EntryType::symlink, "s", "/x"), link(EntryType::hardlink, "t", "s")}));
  EXPECT_FALSE(
      check_all({folder(""), file("a"), link(EntryType::hardlink, "b", "a"), link(EntryType::hardlink, "c", "b")}));
}

TEST(IndexChecker, FindsTheFileOfAHardlinkAmongThousands) {
  IndexChecker checker;
  ASSERT_TRUE(checker.check(folder("")));
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(checker.check(file("f" + std::to_string(10000 + i))));
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(
        checker.check(link(EntryType::hardlink, "g" + std::to_string(10000 + i), "f" + std::to_string(10000 + i))));
  }
  EXPECT_FALSE(checker.check(link(EntryType::hardlink, "h", "f15000")));
}

TEST(IndexChecker, CanLeaveTheLookUpOfHardlinksToTheCaller) {
  const IndexRules rules{.hardlinks_looked_up = false};
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "a/f"), rules), Code::ok);
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "a/not-there"), rules), Code::ok);
  // It is still a path inside the tree, and an earlier one.
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "c"), rules), Code::malformed);
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "b"), rules), Code::malformed);
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", ""), rules), Code::malformed);
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "../a/f"), rules), Code::malformed);
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "a/../../f"), rules), Code::malformed);
  EXPECT_EQ(verdict(link(EntryType::hardlink, "b", "/a/f"), rules), Code::malformed);
}

TEST(IndexChecker, CanAcceptUnknownContents) {
  Entry entry = file("b");
  entry.size = 0;
  entry.content = {};
  EXPECT_EQ(verdict(entry), Code::malformed);
  EXPECT_EQ(verdict(entry, {.contents_known = false}), Code::ok);
  entry.size = limits::kContentBytesMax + 1;
  EXPECT_EQ(verdict(entry, {.contents_known = false}), Code::too_large);
}

TEST(IndexChecker, RefusesDevicesUnlessAllowed) {
  for (const EntryType type : {EntryType::char_device, EntryType::block_device, EntryType::fifo}) {
    Entry entry = link(type, "b", "");
    EXPECT_EQ(verdict(entry), Code::refused);
    EXPECT_EQ(verdict(entry, {.devices_allowed = true}), Code::ok);
  }
  Entry odd = link(EntryType::char_device, "b", "");
  odd.device_major = 0x1000;
  EXPECT_EQ(verdict(odd, {.devices_allowed = true}), Code::malformed);
}

TEST(IndexChecker, AcceptsSetuidButNoUnknownModeBits) {
  Entry entry = file("b");
  entry.mode = 06755;
  EXPECT_EQ(verdict(entry), Code::ok);
  entry.mode = 010644;
  EXPECT_EQ(verdict(entry), Code::malformed);
}

TEST(IndexChecker, RefusesFieldsThatATypeDoesNotHave) {
  Entry entry = folder("b");
  entry.size = 1;
  EXPECT_EQ(verdict(entry), Code::malformed);
  entry = folder("b");
  entry.target = "x";
  EXPECT_EQ(verdict(entry), Code::malformed);
  entry = link(EntryType::hardlink, "b", "a/f");
  entry.mode = 0644;
  EXPECT_EQ(verdict(entry), Code::malformed);
  entry = link(EntryType::hardlink, "b", "a/f");
  entry.uid = 1;
  EXPECT_EQ(verdict(entry), Code::malformed);
  entry = file("b");
  entry.device_minor = 1;
  EXPECT_EQ(verdict(entry), Code::malformed);
  entry = link(EntryType::symlink, "b", "x");
  entry.xattrs = {{"user.a", {}}};
  EXPECT_EQ(verdict(entry), Code::malformed);
}

TEST(IndexChecker, RefusesXattrsOutOfOrderAndTwice) {
  Entry entry = file("b");
  entry.xattrs = {{"user.b", {}}, {"user.a", {}}};
  EXPECT_EQ(verdict(entry), Code::malformed);
  entry.xattrs = {{"user.a", {}}, {"user.a", {}}};
  EXPECT_EQ(verdict(entry), Code::malformed);
  entry.xattrs = {{"security.capability", fixture::capabilities()}, {"user.a", {}}};
  EXPECT_EQ(verdict(entry), Code::ok);
}

TEST(IndexChecker, AcceptsAclsWhereTheyBelong) {
  Entry entry = file("b");
  entry.mode = 0670;
  entry.xattrs = {{std::string(kAccessAcl), fixture::usual_acl()}};
  EXPECT_EQ(verdict(entry), Code::ok);
  entry = folder("b");
  entry.mode = 0670;
  entry.xattrs = {{std::string(kAccessAcl), fixture::usual_acl()}, {std::string(kDefaultAcl), fixture::usual_acl()}};
  EXPECT_EQ(verdict(entry), Code::ok);
}

TEST(IndexChecker, RefusesAclsAndCapabilitiesThatAKernelWouldNotTake) {
  Entry entry = file("b");
  entry.mode = 0640;
  entry.xattrs = {{std::string(kAccessAcl), fixture::usual_acl()}};
  EXPECT_EQ(verdict(entry), Code::malformed) << "the mode has other rights than the ACL";
  entry.mode = 0670;
  entry.xattrs = {{std::string(kDefaultAcl), fixture::usual_acl()}};
  EXPECT_EQ(verdict(entry), Code::malformed) << "a file has no default ACL";
  entry.xattrs = {{std::string(kAccessAcl), to_bytes("acl")}};
  EXPECT_EQ(verdict(entry), Code::malformed);
  entry.xattrs = {{std::string(kCapabilities), to_bytes("caps")}};
  EXPECT_EQ(verdict(entry), Code::malformed);
  entry = link(EntryType::fifo, "b", "");
  entry.mode = 0670;
  entry.xattrs = {{std::string(kAccessAcl), fixture::usual_acl()}};
  EXPECT_EQ(verdict(entry, {.devices_allowed = true}), Code::malformed) << "only files and folders have xattrs";
}

TEST(IndexChecker, RefusesXattrsThatActOnTheHost) {
  for (const char* name : {"trusted.overlay.redirect", "trusted.overlay.opaque", "user.overlay.redirect",
                           "security.selinux", "security.ima", "system.nfs4_acl", "system.posix_acl", "user.", ""}) {
    Entry entry = file("b");
    entry.xattrs = {{name, {}}};
    EXPECT_EQ(verdict(entry), Code::refused) << name;
  }
}

TEST(IndexChecker, RefusesContradictionsOfSizeAndHash) {
  Entry entry = file("b", "");
  EXPECT_EQ(verdict(entry), Code::ok);
  entry.size = 1;
  EXPECT_EQ(verdict(entry), Code::malformed);
  entry = file("b");
  entry.size = 0;
  EXPECT_EQ(verdict(entry), Code::malformed);
}

TEST(IndexChecker, AppliesTheBounds) {
  EXPECT_EQ(verdict(file(std::string(limits::kPathComponentBytesMax, 'x'))), Code::ok);
  EXPECT_EQ(verdict(file(std::string(limits::kPathComponentBytesMax + 1, 'x'))), Code::too_large);
  EXPECT_EQ(verdict(file(std::string(limits::kPathBytesMax + 1, 'x'))), Code::too_large);
  Entry entry = file("b");
  entry.size = limits::kContentBytesMax + 1;
  EXPECT_EQ(verdict(entry), Code::too_large);
  entry = file("b");
  entry.xattrs = {{"user.a", Bytes(limits::kXattrBytesMax)}};
  EXPECT_EQ(verdict(entry), Code::too_large);
  entry = link(EntryType::symlink, "b", std::string(limits::kPathBytesMax + 1, 'x'));
  EXPECT_EQ(verdict(entry), Code::too_large);
}

TEST(IndexChecker, CountsEntriesUpToTheBound) {
  IndexChecker checker;
  ASSERT_TRUE(checker.check(folder("")));
  Entry entry = folder("");
  for (std::size_t i = 1; i < limits::kEntriesMax; ++i) {
    entry.path = std::to_string(1'000'000 + i);
    ASSERT_TRUE(checker.check(entry));
  }
  entry.path = "9";
  EXPECT_EQ(checker.check(entry).error().code, Code::too_large);
}

TEST(ImageIndex, HasTheRootFolderAndOneFile) {
  EXPECT_TRUE(check_image_entry(folder("")));
  EXPECT_TRUE(check_image_entry(file("image")));
  Entry entry = folder("");
  entry.mode = 0700;
  EXPECT_EQ(check_image_entry(entry).error().code, Code::malformed);
  EXPECT_FALSE(check_image_entry(folder("image")));
  EXPECT_FALSE(check_image_entry(file("other")));
  EXPECT_FALSE(check_image_entry(link(EntryType::symlink, "image", "/dev/sda")));
  entry = file("image");
  entry.uid = 1;
  EXPECT_FALSE(check_image_entry(entry));
  entry = file("image");
  entry.xattrs = {{"user.a", {}}};
  EXPECT_FALSE(check_image_entry(entry));
  entry = file("image");
  entry.time = 1;
  EXPECT_FALSE(check_image_entry(entry));
}

}  // namespace
}  // namespace instar::artifact
