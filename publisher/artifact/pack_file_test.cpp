#include "publisher/artifact/pack_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "core/trust/digest.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"
#include "publisher/artifact/artifact_folder.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

class PackFiles : public testing::Test {
 protected:
  void SetUp() override { make_tree(path("tree")); }

  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

  static void make_tree(const std::string& root) {
    ASSERT_TRUE(files::make_folders(root + "/bin"));
    ASSERT_TRUE(files::make_folders(root + "/etc/app"));
    Bytes large(700'000);
    std::uint32_t state = 7;
    for (auto& byte : large) {
      state = state * 1664525 + 1013904223;
      byte = static_cast<std::uint8_t>(state >> 28);  // compressible by half
    }
    ASSERT_TRUE(files::write_file_atomic(root + "/bin/app", large, 0755));
    ASSERT_TRUE(files::write_file_atomic(root + "/etc/app/config", as_bytes("port = 80\n")));
    ASSERT_TRUE(files::write_file_atomic(root + "/etc/empty", {}));
    ASSERT_EQ(::symlink("app", (root + "/bin/link").c_str()), 0);
    ASSERT_EQ(::link((root + "/bin/app").c_str(), (root + "/bin/hard").c_str()), 0);
  }

  BuildOptions options(const std::string& tree, const std::string& out) const {
    BuildOptions all;
    all.tree = path(tree);
    all.out = path(out);
    all.level = 3;
    return all;
  }

  Bytes read(const std::string& name) const {
    auto bytes = files::read_file(path(name), 64 * 1024 * 1024);
    EXPECT_TRUE(bytes) << name;
    return bytes ? *bytes : Bytes{};
  }

  void write(const std::string& name, ByteView bytes) const {
    ASSERT_TRUE(files::write_file_atomic(path(name), bytes));
  }

  // Opens a damaged copy of the full pack.
  Result<PackFile> open_damaged(const std::function<void(Bytes&)>& damage) {
    Bytes bytes = read("out/full.pack");
    damage(bytes);
    write("damaged.pack", bytes);
    return PackFile::open(path("damaged.pack"));
  }

  files::TemporaryFolder folder_;
};

TEST_F(PackFiles, TheSameTreeGivesTheSameBytesInAnyFolder) {
  make_tree(path("elsewhere"));
  ASSERT_TRUE(build_artifact(options("tree", "out")));
  ASSERT_TRUE(build_artifact(options("elsewhere", "deeper/out")));
  for (const auto* name : {"artifact.json", "index", "full.pack", "dedupe.pack"}) {
    EXPECT_EQ(read(std::string("out/") + name), read(std::string("deeper/out/") + name)) << name;
  }
}

TEST_F(PackFiles, ANewerBuildReplacesAllOfTheOlder) {
  ASSERT_TRUE(build_artifact(options("tree", "out")));
  const auto before = read("out/full.pack");
  write("tree/etc/app/config", as_bytes("port = 81\n"));
  auto only_full = options("tree", "out");
  only_full.replace = true;
  only_full.kinds = {artifact::PackKind::full};
  const auto folder = build_artifact(only_full);
  ASSERT_TRUE(folder);
  EXPECT_NE(read("out/full.pack"), before);
  EXPECT_EQ(folder->packs.size(), 1U);
  EXPECT_FALSE(files::read_file(path("out/dedupe.pack"), 1'000'000));
}

TEST_F(PackFiles, AnArtifactOfOtherContentIsReplacedByAWordOnlyAndKept) {
  const auto first = build_artifact(options("tree", "out"));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->kept_aside, "");
  EXPECT_TRUE(build_artifact(options("tree", "out"))) << "the same content is no replacement";
  const auto pack = read("out/full.pack");
  write("tree/etc/app/config", as_bytes("port = 81\n"));
  const auto refused = build_artifact(options("tree", "out"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr("--replace"));
  EXPECT_THAT(refused.error().message, HasSubstr(first->id.short_hex()));
  EXPECT_EQ(open_artifact(path("out"))->id, first->id) << "nothing was touched";
  EXPECT_EQ(read("out/full.pack"), pack);

  auto replacing = options("tree", "out/");
  replacing.replace = true;
  const auto second = build_artifact(replacing);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->kept_aside, path("out-" + first->id.short_hex()));
  EXPECT_EQ(open_artifact(second->kept_aside)->id, first->id);
  EXPECT_TRUE(verify_artifact(*open_artifact(second->kept_aside)));
  EXPECT_EQ(open_artifact(path("out"))->id, second->id);

  // Back and forth, as a build job may do: each content is kept once.
  write("tree/etc/app/config", as_bytes("port = 80\n"));
  ASSERT_TRUE(build_artifact(replacing));
  write("tree/etc/app/config", as_bytes("port = 81\n"));
  const auto again = build_artifact(replacing);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->kept_aside, second->kept_aside);
  EXPECT_EQ(open_artifact(path("out"))->id, second->id);
}

TEST_F(PackFiles, WhatWasToBeReplacedComesBackAfterAnError) {
  const auto first = build_artifact(options("tree", "out"));
  ASSERT_TRUE(first);
  write("tree/etc/app/config", as_bytes("port = 81\n"));
  auto stopped = options("tree", "out");
  stopped.replace = true;
  stopped.kinds = {artifact::PackKind::full};
  bool moved = false;
  stopped.work.stopped = [&] {
    moved = moved || open_artifact(path("out-" + first->id.short_hex())).has_value();
    return moved;
  };
  const auto built = build_artifact(stopped);
  ASSERT_FALSE(built);
  EXPECT_TRUE(moved) << "the work was to stop after the first artifact had been moved";
  EXPECT_EQ(open_artifact(path("out"))->id, first->id);
  EXPECT_FALSE(open_artifact(path("out-" + first->id.short_hex())));
}

TEST_F(PackFiles, AFolderReadsBackAsItWasBuilt) {
  const auto built = build_artifact(options("tree", "out"));
  ASSERT_TRUE(built);
  const auto opened = open_artifact(path("out"));
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->id, built->id);
  EXPECT_EQ(opened->content_bytes, 700'010U);
  EXPECT_EQ(opened->entry_count, 9U);
  EXPECT_EQ(artifact_json(*opened), artifact_json(*built));
  EXPECT_TRUE(verify_artifact(*opened));
}

TEST_F(PackFiles, TheFileIsDirectoryThenChunksInOrder) {
  const auto built = build_artifact(options("tree", "out"));
  ASSERT_TRUE(built);
  const auto& pack = built->packs.front();
  const auto bytes = read("out/full.pack");
  Bytes expected = artifact::encode_directory(pack.directory());
  EXPECT_EQ(pack.id(), trust::digest(expected));
  for (std::uint32_t i = 0; i < pack.directory().chunks.size(); ++i) {
    const auto chunk = pack.read_chunk(i);
    ASSERT_TRUE(chunk);
    expected.insert(expected.end(), chunk->begin(), chunk->end());
  }
  EXPECT_EQ(bytes, expected);
  EXPECT_EQ(pack.wire_bytes(), pack.directory().head_bytes() + pack.directory().body_bytes());
  const auto beyond = pack.read_chunk(static_cast<std::uint32_t>(pack.directory().chunks.size()));
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, Code::invalid_argument);
}

TEST_F(PackFiles, EveryFlippedByteOfTheDirectoryIsFound) {
  const auto built = build_artifact(options("tree", "out"));
  ASSERT_TRUE(built);
  const auto& original = built->packs.front();
  const auto size = original.directory_bytes().size();
  for (std::size_t at = 0; at < size; ++at) {
    const auto pack = open_damaged([&](Bytes& bytes) { bytes[at] ^= 0x40; });
    // Either it cannot be opened, or it is another pack, which no manifest names.
    if (pack) {
      EXPECT_NE(pack->id(), original.id()) << at;
    }
  }
}

TEST_F(PackFiles, EachDamageHasItsError) {
  ASSERT_TRUE(build_artifact(options("tree", "out")));
  const auto expect = [&](const char* what, Code code, const char* words, const std::function<void(Bytes&)>& damage) {
    const auto pack = open_damaged(damage);
    ASSERT_FALSE(pack) << what;
    EXPECT_EQ(pack.error().code, code) << what << ": " << pack.error().message;
    EXPECT_THAT(pack.error().message, HasSubstr(words)) << what;
    EXPECT_THAT(pack.error().message, HasSubstr("damaged.pack")) << what;
  };
  expect("empty", Code::malformed, "too short", [](Bytes& b) { b.clear(); });
  expect("header cut", Code::malformed, "too short", [](Bytes& b) { b.resize(79); });
  expect("magic", Code::malformed, "INPD", [](Bytes& b) { b[0] = 'X'; });
  expect("version", Code::unsupported, "", [](Bytes& b) { b[4] = 9; });
  expect("kind", Code::unsupported, "", [](Bytes& b) { b[5] = 200; });
  expect("directory cut", Code::corrupt, "directory", [](Bytes& b) { b.resize(100); });
  expect("chunk count", Code::too_large, "chunks", [](Bytes& b) { b[15] = 0xFF; });
  expect("one byte short", Code::corrupt, "cut off", [](Bytes& b) { b.pop_back(); });
  expect("one byte long", Code::corrupt, "cut off", [](Bytes& b) { b.push_back(0); });
}

TEST_F(PackFiles, ADamagedChunkIsFoundByVerify) {
  const auto built = build_artifact(options("tree", "out"));
  ASSERT_TRUE(built);
  const auto start = built->packs.front().directory_bytes().size();
  const auto end = built->packs.front().file_bytes();
  for (const auto at : {start, start + (end - start) / 2, static_cast<std::size_t>(end) - 1}) {
    const auto pack = open_damaged([&](Bytes& bytes) { bytes[at] ^= 1; });
    ASSERT_TRUE(pack);
    const auto status = pack->verify({});
    ASSERT_FALSE(status) << at;
    EXPECT_EQ(status.error().code, Code::corrupt);
    EXPECT_THAT(status.error().message, HasSubstr("chunk "));
  }
}

TEST_F(PackFiles, MissingFilesSayWhatToDo) {
  const auto none = open_artifact(path("nowhere"));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::not_found);
  EXPECT_THAT(none.error().message, HasSubstr("instar pack"));
  ASSERT_TRUE(build_artifact(options("tree", "out")));
  ASSERT_EQ(::unlink(path("out/dedupe.pack").c_str()), 0);
  const auto half = open_artifact(path("out"));
  ASSERT_FALSE(half);
  EXPECT_EQ(half.error().code, Code::not_found);
  EXPECT_THAT(half.error().message, HasSubstr("dedupe.pack"));
}

TEST_F(PackFiles, AFolderMixedFromTwoArtifactsIsRefused) {
  ASSERT_TRUE(build_artifact(options("tree", "one")));
  write("tree/etc/app/config", as_bytes("port = 81\n"));
  ASSERT_TRUE(build_artifact(options("tree", "two")));
  write("two/full.pack", read("one/full.pack"));
  const auto mixed = open_artifact(path("two"));
  ASSERT_FALSE(mixed);
  EXPECT_EQ(mixed.error().code, Code::corrupt);
  write("one/index", read("two/index"));
  const auto other_index = open_artifact(path("one"));
  ASSERT_FALSE(other_index);
  EXPECT_EQ(other_index.error().code, Code::corrupt);
}

TEST_F(PackFiles, AHostileArtifactJsonReachesNoOtherFile) {
  ASSERT_TRUE(build_artifact(options("tree", "out")));
  const std::string good(as_text(read("out/artifact.json")));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos);
    text.replace(at, from.size(), to);
    write("out/artifact.json", as_bytes(text));
    const auto folder = open_artifact(path("out"));
    return folder ? Code::ok : folder.error().code;
  };
  EXPECT_EQ(with("full.pack", "../full.pack"), Code::malformed);
  EXPECT_EQ(with("full.pack", "/etc/passwd"), Code::malformed);
  EXPECT_EQ(with("\"format\": 1", "\"format\": 2"), Code::unsupported);
  EXPECT_EQ(with("\"artifact\": \"", "\"artifact\": \"zz"), Code::malformed);
  EXPECT_EQ(with("{", "["), Code::malformed);
  EXPECT_EQ(with("full.pack", "dedupe.pack"), Code::malformed);  // no full pack left
  EXPECT_EQ(with("full.pack", "full.pack"), Code::ok);
}

TEST_F(PackFiles, AnUnsuitableOutputFolderIsRefused) {
  const auto inside = build_artifact(options("tree", "tree/out"));
  ASSERT_FALSE(inside);
  EXPECT_EQ(inside.error().code, Code::invalid_argument);
  ASSERT_TRUE(files::make_folders(path("home")));
  write("home/letter.txt", as_bytes("dear"));
  const auto foreign = build_artifact(options("tree", "home"));
  ASSERT_FALSE(foreign);
  EXPECT_THAT(foreign.error().message, HasSubstr("letter.txt"));
  EXPECT_EQ(as_text(read("home/letter.txt")), "dear");
  EXPECT_FALSE(build_artifact(options("no-tree", "out")));
  auto without_full = options("tree", "out");
  without_full.kinds = {artifact::PackKind::dedupe};
  ASSERT_FALSE(build_artifact(without_full));
}

TEST_F(PackFiles, ADeviceNodeIsRefusedUnlessAllowed) {
  if (::mkfifo(path("tree/pipe").c_str(), 0600) != 0) GTEST_FAIL() << "no fifo";
  const auto refused = build_artifact(options("tree", "out"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_FALSE(open_artifact(path("out")));
  auto allowed = options("tree", "out");
  allowed.devices_allowed = true;
  ASSERT_TRUE(build_artifact(allowed));
  EXPECT_TRUE(verify_artifact(*open_artifact(path("out"))));
}

TEST_F(PackFiles, AWriterWithoutFinishLeavesNothing) {
  {
    auto writer = PackFileWriter::create(path("given-up.pack"));
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->put(false, 0, {{}, 4, 4, artifact::Codec::raw}, as_bytes("data")));
    artifact::PackDirectory wrong;
    const auto status = writer->finish(wrong);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::internal);
  }
  for (const auto* name : {"given-up.pack", "given-up.pack.body", "given-up.pack.new"}) {
    EXPECT_FALSE(files::read_file(path(name), 100)) << name;
  }
}

// The example of docs/formats/pack-file.md.
TEST_F(PackFiles, HasTheBytesOfTheWorkedExample) {
  const auto text = files::read_file(INSTAR_SOURCE_DIR "/tests/fixtures/pack-file.hex", 4096);
  ASSERT_TRUE(text);
  std::string digits;
  for (const char c : as_text(*text)) {
    if (c != ' ' && c != '\n') digits += c;
  }
  Bytes expected;
  ASSERT_TRUE(from_hex(digits, expected));
  auto writer = PackFileWriter::create(path("example.pack"));
  ASSERT_TRUE(writer);
  artifact::PackDirectory directory;
  directory.artifact = ArtifactId(trust::digest(as_bytes("artifact")));
  directory.head_count = 1;
  directory.chunks = {{ChunkHash(trust::digest(as_bytes("abc"))), 3, 3, artifact::Codec::raw},
                      {ChunkHash(trust::digest(as_bytes("hello"))), 5, 5, artifact::Codec::raw}};
  ASSERT_TRUE(writer->put(false, 0, directory.chunks[1], as_bytes("hello")));
  ASSERT_TRUE(writer->put(true, 0, directory.chunks[0], as_bytes("abc")));
  ASSERT_TRUE(writer->finish(directory));
  EXPECT_EQ(to_hex(read("example.pack")), to_hex(expected));
  const auto pack = PackFile::open(path("example.pack"));
  ASSERT_TRUE(pack);
  EXPECT_TRUE(pack->verify({}));
  EXPECT_EQ(as_text(*pack->read_chunk(1)), "hello");
}

TEST_F(PackFiles, TheManifestNamesExactBytes) {
  const auto built = build_artifact(options("tree", "out"));
  ASSERT_TRUE(built);
  const auto artifact = manifest_artifact(*built);
  ASSERT_EQ(artifact.packs.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& pack = artifact.packs[i];
    const auto& directory = built->packs[i].directory();
    EXPECT_EQ(pack.id, built->packs[i].id());
    EXPECT_EQ(pack.head.size() + pack.body_count, directory.chunks.size());
    EXPECT_EQ(pack.head_bytes + pack.body_bytes, built->packs[i].wire_bytes());
    // Every piece costs a header, a topic and a frame, and no more than that.
    EXPECT_GT(pack.framing_bytes, directory.chunks.size() * 50);
    EXPECT_LT(pack.framing_bytes, directory.chunks.size() * 9 * 150);
    EXPECT_GE(pack.memory_bytes, 256U * 1024 / 8);
  }
}

}  // namespace
}  // namespace instar::publisher
