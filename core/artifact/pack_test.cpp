#include "core/artifact/pack.hpp"

#include <gtest/gtest.h>

#include <map>

#include "core/artifact/varint.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"

namespace instar::artifact {
namespace {

Bytes soft_noise(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  std::uint64_t state = seed;
  for (auto& byte : bytes) {
    state = state * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<std::uint8_t>((state >> 56) & 0x3f);  // compresses a little
  }
  return bytes;
}

// A tree in memory, with the pack that is made from it.
struct Tree : ContentSource, PackSink {
  std::vector<Entry> entries;
  std::map<std::string, Bytes> contents;
  Bytes index;
  ArtifactId id;
  std::map<std::uint32_t, Bytes> head;
  std::map<std::uint32_t, Bytes> body;

  void add_folder(const std::string& path) {
    Entry entry;
    entry.path = path;
    entry.type = EntryType::directory;
    entries.push_back(entry);
  }
  void add_file(const std::string& path, const Bytes& content) {
    Entry entry;
    entry.path = path;
    entry.size = content.size();
    entry.content = trust::digest(content);
    entries.push_back(entry);
    contents[path] = content;
  }
  void close() {
    IndexWriter writer(index);
    for (const Entry& entry : entries) ASSERT_TRUE(writer.append(entry));
    const auto hash = writer.finish();
    ASSERT_TRUE(hash);
    id = *hash;
  }

  Result<std::size_t> read(const Entry& entry, std::uint64_t offset, std::span<std::uint8_t> out) override {
    const Bytes& content = contents.at(entry.path);
    const std::size_t count = std::min<std::size_t>(out.size(), content.size() - offset);
    std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
    return count;
  }
  Status put(bool is_head, std::uint32_t ordinal, const ChunkRef& ref, ByteView encoded) override {
    EXPECT_EQ(ref.encoded_bytes, encoded.size());
    auto& chunks = is_head ? head : body;
    EXPECT_EQ(ordinal, chunks.size());
    chunks[ordinal] = to_bytes(encoded);
    return {};
  }
};

std::unique_ptr<Tree> packed_tree() {
  auto tree = std::make_unique<Tree>();
  tree->add_folder("");
  tree->add_folder("bin");
  tree->add_file("bin/a", soft_noise(700'000, 1));
  tree->add_file("bin/b", soft_noise(10, 2));
  tree->add_file("bin/c", soft_noise(700'000, 1));  // the same content as bin/a
  tree->add_file("bin/d", {});
  tree->add_file("e", soft_noise(90'000, 3));
  tree->close();
  return tree;
}

Bytes decode_all(const PackDirectory& directory, std::size_t first, std::size_t end,
                 const std::map<std::uint32_t, Bytes>& chunks) {
  Bytes stream;
  for (std::size_t i = first; i < end; ++i) {
    const auto decoded = decode_chunk(directory.chunks[i], chunks.at(static_cast<std::uint32_t>(i - first)));
    EXPECT_TRUE(decoded);
    stream.insert(stream.end(), decoded->begin(), decoded->end());
  }
  return stream;
}

class PackKinds : public testing::TestWithParam<PackKind> {};

TEST_P(PackKinds, CarryIndexAndContentStream) {
  auto tree = packed_tree();
  const auto directory =
      make_pack(tree->index, tree->entries, *tree, *tree, {.kind = GetParam(), .level = 3, .progress = {}});
  ASSERT_TRUE(directory) << directory.error().message;
  EXPECT_EQ(directory->artifact, tree->id);
  EXPECT_EQ(directory->head_count, tree->head.size());
  EXPECT_EQ(directory->chunks.size(), tree->head.size() + tree->body.size());

  std::vector<Entry> entries;
  std::vector<ChunkRef> body;
  std::uint64_t offset = 0;
  PackHeadReader reader(
      tree->index.size(), [&](const Entry& entry) -> Status { return entries.push_back(entry), Status{}; },
      [&](const BodyChunk& chunk) -> Status {
        EXPECT_EQ(chunk.offset, offset);
        offset += chunk.ref.decoded_bytes;
        body.push_back(chunk.ref);
        return {};
      });
  const Bytes head = decode_all(*directory, 0, directory->head_count, tree->head);
  for (std::size_t at = 0; at < head.size(); at += 7) {
    ASSERT_TRUE(reader.feed(ByteView(head).subspan(at, std::min<std::size_t>(7, head.size() - at))));
  }
  const auto id = reader.finish();
  ASSERT_TRUE(id) << id.error().message;
  EXPECT_EQ(*id, tree->id);
  EXPECT_EQ(entries, tree->entries);
  EXPECT_EQ(body, std::vector<ChunkRef>(directory->chunks.begin() + directory->head_count, directory->chunks.end()));

  Bytes stream = tree->contents["bin/a"];
  for (const char* path : {"bin/b", "e"})
    stream.insert(stream.end(), tree->contents[path].begin(), tree->contents[path].end());
  EXPECT_EQ(decode_all(*directory, directory->head_count, directory->chunks.size(), tree->body), stream);
}

TEST_P(PackKinds, AreTheSameBytesEachTime) {
  auto one = packed_tree();
  auto two = packed_tree();
  const auto first = make_pack(one->index, one->entries, *one, *one, {.kind = GetParam(), .level = 3, .progress = {}});
  const auto second = make_pack(two->index, two->entries, *two, *two, {.kind = GetParam(), .level = 3, .progress = {}});
  EXPECT_EQ(encode_directory(*first), encode_directory(*second));
  EXPECT_EQ(one->head, two->head);
  EXPECT_EQ(one->body, two->body);
}

INSTANTIATE_TEST_SUITE_P(All, PackKinds, testing::Values(PackKind::full, PackKind::dedupe));

TEST(Pack, OfAnEmptyTreeHasAHeadAndNoBody) {
  Tree tree;
  tree.add_folder("");
  tree.close();
  const auto directory = make_pack(tree.index, tree.entries, tree, tree, {});
  ASSERT_TRUE(directory);
  EXPECT_EQ(directory->head_count, 1U);
  EXPECT_EQ(directory->chunks.size(), 1U);
  EXPECT_TRUE(decode_directory(encode_directory(*directory)));
}

TEST(Pack, ReportsProgressUpToTheEnd) {
  auto tree = packed_tree();
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  PackOptions options{.kind = PackKind::full, .level = 1, .progress = [&](std::uint64_t done, std::uint64_t all) {
                        EXPECT_GT(done, last);
                        last = done;
                        total = all;
                      }};
  ASSERT_TRUE(make_pack(tree->index, tree->entries, *tree, *tree, options));
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, 790'010 + tree->index.size());
}

TEST(Pack, RefusesAFileThatChangedSinceItWasHashed) {
  auto tree = packed_tree();
  tree->contents["e"][5] ^= 1;
  EXPECT_EQ(make_pack(tree->index, tree->entries, *tree, *tree, {}).error().code, Code::corrupt);
  tree = packed_tree();
  tree->contents["e"].pop_back();
  EXPECT_EQ(make_pack(tree->index, tree->entries, *tree, *tree, {}).error().code, Code::corrupt);
}

TEST(Pack, ReturnsTheErrorsOfSourceAndSink) {
  struct Full : PackSink {
    Status put(bool, std::uint32_t, const ChunkRef&, ByteView) override { return fail(Code::io, "disk full"); }
  } full;
  auto tree = packed_tree();
  EXPECT_EQ(make_pack(tree->index, tree->entries, *tree, full, {}).error().message, "disk full");
}

TEST(Pack, DoesNotMakeDeltas) {
  auto tree = packed_tree();
  EXPECT_EQ(make_pack(tree->index, tree->entries, *tree, *tree, {.kind = PackKind::delta, .progress = {}}).error().code,
            Code::unsupported);
}

TEST(Pack, StreamNamesEachContentOnce) {
  const auto files = stream_files(packed_tree()->entries);
  ASSERT_EQ(files.size(), 3U);
  EXPECT_EQ(files[0].path, "bin/a");
  EXPECT_EQ(files[1].path, "bin/b");
  EXPECT_EQ(files[1].offset, 700'000U);
  EXPECT_EQ(files[2].path, "e");
  EXPECT_EQ(files[2].offset, 700'010U);
}

// The directory of docs/formats/pack.md.
PackDirectory example_directory() {
  PackDirectory directory;
  directory.kind = PackKind::dedupe;
  directory.artifact = ArtifactId(trust::digest(as_bytes("artifact")));
  directory.head_count = 1;
  directory.chunks = {{ChunkHash(trust::digest(as_bytes("head"))), 100, 300, Codec::zstd},
                      {ChunkHash(trust::digest(as_bytes("body"))), 5, 5, Codec::raw}};
  return directory;
}

Code verdict(const Bytes& bytes) {
  const auto directory = decode_directory(bytes);
  return directory ? Code::ok : directory.error().code;
}

TEST(PackDirectory, MatchesTheDocumentedExample) {
  const Bytes bytes = encode_directory(example_directory());
  EXPECT_EQ(to_hex(bytes),
            "494e504401010000"
            "0100000001000000" +
                trust::digest(as_bytes("artifact")).hex() + std::string(64, '0') +
                trust::digest(as_bytes("head")).hex() + "640000002c01000001" + trust::digest(as_bytes("body")).hex() +
                "050000000500000000");
  const auto directory = decode_directory(bytes);
  ASSERT_TRUE(directory);
  EXPECT_EQ(directory->artifact, example_directory().artifact);
  EXPECT_EQ(directory->chunks, example_directory().chunks);
  EXPECT_EQ(directory->head_bytes(), 100U);
  EXPECT_EQ(directory->body_bytes(), 5U);
}

TEST(PackDirectory, HasOneFormOnly) {
  const Bytes bytes = encode_directory(example_directory());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes broken = bytes;
      broken[at] = static_cast<std::uint8_t>(broken[at] ^ 1 << bit);
      const auto directory = decode_directory(broken);
      if (directory) {
        EXPECT_EQ(encode_directory(*directory), broken) << at;
      }
    }
  }
}

TEST(PackDirectory, RefusesEveryTruncationAndExtraBytes) {
  Bytes bytes = encode_directory(example_directory());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(verdict(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))), Code::malformed);
  }
  bytes.push_back(0);
  EXPECT_EQ(verdict(bytes), Code::malformed);
}

TEST(PackDirectory, RefusesUnknownVersionsAndKinds) {
  Bytes bytes = encode_directory(example_directory());
  bytes[4] = 2;
  EXPECT_EQ(verdict(bytes), Code::unsupported);
  bytes = encode_directory(example_directory());
  bytes[5] = 3;
  EXPECT_EQ(verdict(bytes), Code::unsupported);
  bytes = encode_directory(example_directory());
  bytes[7] = 1;
  EXPECT_EQ(verdict(bytes), Code::malformed);
  bytes = encode_directory(example_directory());
  bytes.back() = 2;
  EXPECT_EQ(verdict(bytes), Code::unsupported);
}

TEST(PackDirectory, NamesABaseOnlyInDeltas) {
  PackDirectory directory = example_directory();
  directory.base = directory.artifact;
  EXPECT_EQ(verdict(encode_directory(directory)), Code::malformed);
  directory.kind = PackKind::delta;
  EXPECT_EQ(verdict(encode_directory(directory)), Code::ok);
  directory.base = {};
  EXPECT_EQ(verdict(encode_directory(directory)), Code::malformed);
}

TEST(PackDirectory, RefusesCountsAndSizesOverTheirBounds) {
  Bytes bytes = encode_directory(example_directory());
  bytes[10] = 1;
  EXPECT_EQ(verdict(bytes), Code::too_large);
  bytes = encode_directory(example_directory());
  bytes[15] = 0xff;
  EXPECT_EQ(verdict(bytes), Code::too_large);
  PackDirectory directory = example_directory();
  directory.chunks[0].decoded_bytes = limits::kChunkDecodedBytesMax + 1;
  EXPECT_EQ(verdict(encode_directory(directory)), Code::too_large);
  directory = example_directory();
  directory.chunks[0].encoded_bytes = limits::kChunkEncodedBytesMax + 1;
  EXPECT_EQ(verdict(encode_directory(directory)), Code::too_large);
}

TEST(PackDirectory, RefusesEmptyAndContradictoryChunks) {
  PackDirectory directory = example_directory();
  directory.chunks[1] = {{}, 0, 0, Codec::raw};
  EXPECT_EQ(verdict(encode_directory(directory)), Code::malformed);
  directory = example_directory();
  directory.chunks[1].decoded_bytes = 6;
  EXPECT_EQ(verdict(encode_directory(directory)), Code::malformed);
  directory = example_directory();
  directory.head_count = 0;
  EXPECT_EQ(verdict(encode_directory(directory)), Code::malformed);
}

Bytes small_index() {
  Bytes index;
  IndexWriter writer(index);
  Entry root;
  root.type = EntryType::directory;
  EXPECT_TRUE(writer.append(root));
  EXPECT_TRUE(writer.finish());
  return index;
}

Code head_verdict(const Bytes& head, std::uint64_t index_bytes) {
  PackHeadReader reader(
      index_bytes, [](const Entry&) { return Status{}; }, [](const BodyChunk&) { return Status{}; });
  const auto status = reader.feed(head);
  if (!status) return status.error().code;
  const auto id = reader.finish();
  return id ? Code::ok : id.error().code;
}

TEST(PackHead, RefusesEveryTruncationAndExtraBytes) {
  const Bytes index = small_index();
  Bytes head = index;
  const Bytes table = encode_body_table(example_directory().chunks);
  head.insert(head.end(), table.begin(), table.end());
  EXPECT_EQ(head_verdict(head, index.size()), Code::ok);
  for (std::size_t size = 0; size < head.size(); ++size) {
    EXPECT_NE(head_verdict(Bytes(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(size)), index.size()),
              Code::ok)
        << size;
  }
  head.push_back(0);
  EXPECT_EQ(head_verdict(head, index.size()), Code::malformed);
}

TEST(PackHead, RefusesAWrongIndexSize) {
  const Bytes index = small_index();
  Bytes head = index;
  head.push_back(0);
  EXPECT_EQ(head_verdict(head, index.size()), Code::ok);
  EXPECT_NE(head_verdict(head, index.size() - 1), Code::ok);
  EXPECT_NE(head_verdict(head, index.size() + 1), Code::ok);
}

TEST(PackHead, RefusesACountOverTheBound) {
  Bytes head = small_index();
  const std::size_t index_bytes = head.size();
  append_varint(head, limits::kPackChunksMax + 1);
  EXPECT_EQ(head_verdict(head, index_bytes), Code::too_large);
}

TEST(PackHead, RefusesContradictoryChunks) {
  const Bytes index = small_index();
  for (const ChunkRef& ref :
       {ChunkRef{{}, 0, 0, Codec::raw}, ChunkRef{{}, 5, 6, Codec::raw}, ChunkRef{{}, 0, 6, Codec::zstd}}) {
    Bytes head = index;
    const Bytes table = encode_body_table({ref});
    head.insert(head.end(), table.begin(), table.end());
    EXPECT_EQ(head_verdict(head, index.size()), Code::malformed);
  }
}

}  // namespace
}  // namespace instar::artifact
