// Archives compared by what is in them, and made again by the decoder that devices run.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>

#include "core/base/limits.hpp"
#include "core/delta/block_stream.hpp"
#include "core/delta/gzip_stream.hpp"
#include "core/delta/make/archive_plan.hpp"
#include "core/delta/make/maker.hpp"
#include "core/delta/make/match_archive.hpp"

namespace instar::delta {
namespace {

constexpr int kByAnother = 100;  // compressed by something that is not known

Bytes words(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  Bytes bytes;
  while (bytes.size() < size) {
    const std::string word = "w" + std::to_string(random() % 5000) + (random() % 11 == 0 ? "\n" : " ");
    bytes.insert(bytes.end(), word.begin(), word.end());
  }
  bytes.resize(size);
  return bytes;
}

struct ZipItem {
  std::string name;
  Bytes content;
  int level = 6;  // 0: stored
};

Bytes deflated(ByteView content, int level) {
  GzipRecipe recipe;
  recipe.level = static_cast<std::uint8_t>(level == kByAnother ? 6 : level);
  if (level == kByAnother) recipe.strategy = GzipStrategy::huffman_only;
  Bytes out;
  GzipWriter writer(recipe, [&](ByteView made) -> Status {
    out.insert(out.end(), made.begin(), made.end());
    return {};
  });
  EXPECT_TRUE(writer.write(content) && writer.finish());
  return out;
}

void put_number(Bytes& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> 8 * i));
}

void put_bytes(Bytes& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// As programs write them; `before` stands in front of it, and is not counted in its places.
Bytes zip_of(const std::vector<ZipItem>& items, std::string_view before = "", std::uint32_t time = 0) {
  Bytes out = to_bytes(before);
  Bytes rows;
  for (const ZipItem& item : items) {
    const Bytes packed = item.level == 0 ? item.content : deflated(item.content, item.level);
    const std::size_t place = out.size() - before.size();
    Bytes shared;
    put_number(shared, 20, 2);
    put_number(shared, 0, 2);
    put_number(shared, item.level == 0 ? 0 : 8, 2);
    put_number(shared, time, 4);
    put_number(shared, std::hash<std::string_view>()(as_text(item.content)), 4);  // where its CRC-32 is
    put_number(shared, packed.size(), 4);
    put_number(shared, item.content.size(), 4);
    put_number(shared, item.name.size(), 2);
    put_number(shared, 0, 2);
    put_number(out, 0x04034b50, 4);
    put_bytes(out, shared);
    put_bytes(out, as_bytes(item.name));
    put_bytes(out, packed);
    put_number(rows, 0x02014b50, 4);
    put_number(rows, 20, 2);
    put_bytes(rows, shared);
    put_number(rows, 0, 10);
    put_number(rows, place, 4);
    put_bytes(rows, as_bytes(item.name));
  }
  const std::size_t start = out.size() - before.size();
  put_bytes(out, rows);
  put_number(out, 0x06054b50, 4);
  put_number(out, 0, 4);
  put_number(out, items.size(), 2);
  put_number(out, items.size(), 2);
  put_number(out, rows.size(), 4);
  put_number(out, start, 4);
  put_number(out, 0, 2);
  return out;
}

// A .xz file of one block, as `xz --check=crc32` makes it, but for its checksums.
Bytes xz_of(ByteView content, const BlockSpec& spec = {BlockMethod::lzma2, 6, 15, 65'536}) {
  Bytes out{0xfd, '7', 'z', 'X', 'Z', 0, 0, 1, 1, 2, 3, 4, 2, 0, 0x21, 1, 8, 0, 0, 0, 5, 6, 7, 8};
  const auto encoder = BlockStreamEncoder::make(spec, [&](ByteView made) -> Status {
    put_bytes(out, made);
    return {};
  });
  EXPECT_TRUE(encoder->write(content) && encoder->finish());
  out.resize((out.size() + 3) / 4 * 4);
  put_bytes(out, as_bytes("crc32 index footer"));
  return out;
}

// Two releases of a jar: some classes changed, some are new, one was renamed, most are as they were.
std::vector<ZipItem> jar(bool is_new) {
  std::vector<ZipItem> items{{"META-INF/MANIFEST.MF", words(300, is_new ? 901 : 900)}};
  for (unsigned i = 0; i < 60; ++i) {
    Bytes content = words(2'000 + i * 150, i);
    if (is_new && i % 3 == 0) content.insert(content.begin() + 700, 12, std::uint8_t{'x'});
    items.push_back({"org/some/Class" + std::to_string(i), std::move(content)});
  }
  items.push_back({is_new ? "data-1.3.txt" : "data-1.2.txt", words(9'000, 77)});
  if (is_new) items.back().content[4000] ^= 1;
  if (is_new) items.insert(items.begin() + 20, {"org/some/Fresh", words(2'500, 500)});
  items.push_back({"stored", words(5'000, 78), 0});
  return items;
}

ReadAt base_reader(const Bytes& bytes) {
  return [&bytes](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    const std::size_t left = offset < bytes.size() ? bytes.size() - static_cast<std::size_t>(offset) : 0;
    const std::size_t count = std::min(left, out.size());
    std::copy_n(bytes.end() - static_cast<std::ptrdiff_t>(left), count, out.begin());
    return count;
  };
}

struct ArchiveMade {
  bool by_content = false;
  DeltaMaker::Made delta;
};

ArchiveMade make_archive(const Bytes& old, const Bytes& now, bool look_inside = true) {
  MatchOptions options;
  options.archives = look_inside;
  FileDelta file = match_file(old, now, options);
  file.control.base = BaseKind::same_path;
  DeltaMaker maker;
  maker.add(file);
  return {file.control.is_blocks, maker.finish()};
}

// `seen` gets where the decoder came to after each step.
Result<Bytes> rebuild_archive(const DeltaMaker::Made& made, const Bytes& old, std::uint64_t step = 1 << 20,
                              const BlockProgress& from = {}, std::vector<BlockProgress>* seen = nullptr) {
  INSTAR_TRY(const auto decoder, Decoder::open(made.header, base_reader(made.body)));
  INSTAR_TRY(const auto start, decoder->next_file());
  if (start->is_blocks) decoder->resume(from);
  Bytes out;
  for (bool done = false; !done;) {
    INSTAR_TRY(done, decoder->decode(
                         {base_reader(old), old.size()},
                         [&](ByteView bytes) -> Status {
                           put_bytes(out, bytes);
                           return {};
                         },
                         step));
    if (!done && seen != nullptr) seen->push_back(decoder->progress());
  }
  INSTAR_TRY(const auto more, decoder->next_file());
  EXPECT_FALSE(more);
  return out;
}

void expect_by_content(const Bytes& old, const Bytes& now, std::size_t bytes_max, const char* what) {
  const ArchiveMade made = make_archive(old, now);
  ASSERT_TRUE(made.by_content) << what;
  EXPECT_EQ(made.delta.header.format(), 3) << what;
  EXPECT_LT(made.delta.body.size(), bytes_max) << what;
  for (const std::uint64_t step : {std::uint64_t{777}, std::uint64_t{1} << 24}) {
    const auto back = rebuild_archive(made.delta, old, step);
    ASSERT_TRUE(back) << what << ": " << back.error().message;
    EXPECT_TRUE(*back == now) << what;
  }
}

TEST(Archives, AJarCostsWhatItsContentDoesAndIsMadeAgainBitForBit) {
  const Bytes old = zip_of(jar(false));
  const Bytes now = zip_of(jar(true));
  const std::size_t compressed = make_archive(old, now, false).delta.body.size();
  EXPECT_GT(compressed, 45'000U);
  expect_by_content(old, now, compressed / 8, "a jar");
  expect_by_content(old, zip_of(jar(true), "", 0x5a21'1234), compressed / 8, "with other times");
  expect_by_content(zip_of(jar(false), "#!/bin/sh\n"), zip_of(jar(true), "#!/bin/sh -e\n"), compressed / 8, "a script");
}

TEST(Archives, LevelsAreFoundForEachInnerFile) {
  auto old = jar(false);
  auto now = jar(true);
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (now[i].level != 0) now[i].level = i < 20 ? 9 : i < 40 ? 1 : 6;
  }
  expect_by_content(zip_of(old), zip_of(now), 9'000, "three levels");
}

TEST(Archives, WhatAnotherEncoderMadeTravelsAsItIs) {
  auto old = jar(false);
  auto now = jar(true);
  for (std::size_t i = 0; i < now.size(); i += 10) now[i].level = kByAnother;
  const std::size_t compressed = make_archive(zip_of(old), zip_of(now), false).delta.body.size();
  expect_by_content(zip_of(old), zip_of(now), compressed * 3 / 5, "some of another");
  for (ZipItem& item : now) item.level = item.level == 0 ? 0 : kByAnother;
  const ArchiveMade made = make_archive(zip_of(old), zip_of(now));
  EXPECT_FALSE(made.by_content) << "all of another";
  EXPECT_EQ(made.delta.header.format(), 1);
  EXPECT_TRUE(*rebuild_archive(made.delta, zip_of(old)) == zip_of(now));
}

TEST(Archives, AnArchiveThatIsStoredInOneIsLookedInto) {
  const Bytes old = zip_of({{"lib/some-1.2.jar", zip_of(jar(false)), 0}, {"index", words(4'000, 1)}});
  const Bytes now = zip_of({{"lib/some-1.3.jar", zip_of(jar(true)), 0}, {"index", words(4'000, 1)}});
  const auto map = map_archive(now);
  ASSERT_TRUE(map);
  EXPECT_EQ(map->files[0].name, "lib/some-1.3.jar!META-INF/MANIFEST.MF");
  expect_by_content(old, now, 9'000, "a jar in a war");
}

TEST(Archives, LargeInnerFilesAreReadInOrder) {
  // What has moved to the front is new to a device that reads the old content once; the rest is not.
  const Bytes large = words(3'000'000, 1);
  Bytes changed = large;
  changed.insert(changed.begin() + 1'000'000, 3, std::uint8_t{'!'});
  std::rotate(changed.begin(), changed.end() - 20'000, changed.end());
  const std::vector<ZipItem> old{{"small", words(5'000, 2)}, {"large", large}};
  const std::vector<ZipItem> now{{"small", words(5'000, 3)}, {"large", changed}};
  expect_by_content(zip_of(old), zip_of(now), 60'000, "zip");
  EXPECT_LT(make_archive(zip_of(old), zip_of(now)).delta.header.memory_bytes(), 2'000'000U);
}

TEST(Archives, CompressedFilesOfXzAreMadeAgain) {
  Bytes content = words(300'000, 1);
  const Bytes old = xz_of(content);
  for (std::size_t at = 1'000; at < content.size(); at += 40'000) content[at] ^= 1;
  expect_by_content(old, xz_of(content), 2'000, "preset 6");
  expect_by_content(old, xz_of(content, {BlockMethod::lzma2, 1, 15, 65'536}), 2'000, "preset 1");
  EXPECT_FALSE(make_archive(zip_of(jar(false)), xz_of(content)).by_content) << "of another kind";
}

TEST(Archives, ThoseOfRealProgramsAreRead) {
  const auto from_digits = [](std::string_view digits) {
    Bytes bytes;
    EXPECT_TRUE(from_hex(digits, bytes));
    return bytes;
  };
  // By Python's zipfile: one stored, one compressed.
  const Bytes zip = from_digits(
      "504b0304140000000000000021007adf5a201600000016000000140000004d4554412d494e462f4d414e49464553542e4d464d616e696665"
      "73"
      "742d56657273696f6e3a20312e300a504b030414000000080000002100f2ee9fdda8000000660200000b000000737175617265732e747874"
      "45"
      "914b0e02310c43f79c8223e4d7b4bd132336707f46a87959b5b21cdb71aef7f7f579cae3fabf7ade38ef2e3ccfc7c6f97821519caca1552a"
      "2a"
      "e81a58049aa86fe4d1b701b68ae716b893148f08b055bc61353b66e9251e0936e14d66177a1b8f9dbd1b615448a84a6ced5dd45850bdb78e"
      "ae"
      "62743fd9a5653739695757746f5cc1a49bd3be964971cda5142ca4746de066d9e86cee6a858daeb79b2b19eef3702927afc7bdc50f504b01"
      "02"
      "1403140000000000000021007adf5a2016000000160000001400000000000000000000008001000000004d4554412d494e462f4d414e4946"
      "45"
      "53542e4d46504b0102140314000000080000002100f2ee9fdda8000000660200000b00000000000000000000008001480000007371756172"
      "65"
      "732e747874504b050600000000020002007b000000190100000000");
  // By `xz -T2 --check=crc32 --lzma2=dict=1MiB`, of the same content.
  const Bytes xz = from_digits(
      "fd377a585a0000016922de3604c0ba01e6042101100000000000000050bcdc47e0026500b25d00369bcb1171ec03e40146e04f8fc937655f"
      "f0"
      "bf9431f2e57955dfd802fbc2f21e33e8c73ef799461460273eb8ae7012b9525700ab37f166a38ac4acc63e67302db654b674ed3ad7ed29d1"
      "c5"
      "1486571b3f06dfa28d4d5ced4b072aa31c408cd449c05df56e63ac88e0caa227d68d345d0ef23ea278f42b1086ba356541731532c82b746f"
      "d1"
      "ca07833ae8a9c8d7fc215606dd4b7b0182cf3e3e7387e628a81d861504faa960f8977dbccd597674c0d2f06e0800000000f2ee9fdd0001d2"
      "01"
      "e604000071f6de553e300d8b020000000001595a");
  std::string squares;
  for (int i = 0; i < 60; ++i) squares += "moult " + std::to_string(i * i) + "\n";
  for (const Bytes& file : {zip, xz}) {
    const auto map = map_archive(file);
    ASSERT_TRUE(map);
    EXPECT_EQ(map->files.size(), file == zip ? 2U : 1U);
    const InnerFile& last = map->files.back();
    EXPECT_EQ(as_text(last.content), squares);
    // From an archive in which the inner file was another one.
    Bytes other_file = file;
    other_file[last.place] ^= 1;
    const auto plan = plan_archive(other_file, *map, file, *map);
    ASSERT_TRUE(plan) << "it comes out of the encoder";
    EXPECT_EQ(plan->made_content, squares.size());
  }
}

TEST(Archives, AKilledDeviceGoesOnFromEachPlace) {
  const Bytes old = zip_of(jar(false));
  const Bytes now = zip_of(jar(true));
  const ArchiveMade made = make_archive(old, now);
  ASSERT_TRUE(made.by_content);
  std::vector<BlockProgress> seen;
  ASSERT_TRUE(*rebuild_archive(made.delta, old, 2'000, {}, &seen) == now);
  ASSERT_GT(seen.size(), 20U);
  for (const BlockProgress& progress : seen) {
    const auto rest = rebuild_archive(made.delta, old, 1 << 20, progress);
    ASSERT_TRUE(rest) << rest.error().message;
    ASSERT_TRUE(std::ranges::equal(*rest, ByteView(now).subspan(static_cast<std::size_t>(progress.bytes))));
  }
}

TEST(Archives, ADamagedArchiveIsMadeAgainOrTakenAsAnyFile) {
  const Bytes old = zip_of(jar(false));
  const Bytes now = zip_of(jar(true));
  std::mt19937 random(5);
  int made_again = 0;
  for (int i = 0; i < 60; ++i) {
    Bytes broken_old = old;
    Bytes broken = now;
    // Of the rows at the end, or anywhere.
    for (int hits = 0; hits < 3; ++hits) {
      const std::size_t at = i % 2 == 0 ? now.size() - 1 - random() % 5'000 : random() % now.size();
      broken[at] ^= static_cast<std::uint8_t>(1 + random() % 255);
      if (i % 3 == 0) broken_old[random() % old.size()] ^= 0x10;
    }
    if (i % 9 == 0) broken.resize(random() % broken.size());
    const ArchiveMade made = make_archive(broken_old, broken);
    made_again += made.by_content ? 1 : 0;
    const auto back = rebuild_archive(made.delta, broken_old);
    ASSERT_TRUE(back) << i << ": " << back.error().message;
    ASSERT_TRUE(*back == broken) << i;
  }
  EXPECT_GT(made_again, 10);
}

TEST(Archives, InnerFilesThatLieInEachOtherAreReadOnce) {
  Bytes zip = zip_of(jar(false));
  const auto whole = map_archive(zip);
  ASSERT_TRUE(whole);
  // All rows name the place of the first.
  for (std::size_t at = zip.size() - 22; at > 0; --at) {
    if (as_text(ByteView(zip).subspan(at)).starts_with("PK\x01\x02"))
      std::fill_n(zip.begin() + static_cast<std::ptrdiff_t>(at) + 42, 4, std::uint8_t{0});
  }
  const auto map = map_archive(zip);
  EXPECT_TRUE(!map || map->files.size() == 1);
}

TEST(Archives, LittleToGainIsNoReasonForANewerFormat) {
  auto items = jar(false);
  const Bytes old = zip_of(items);
  items[3].content[5] ^= 1;
  items[3].content.resize(600);
  const ArchiveMade made = make_archive(old, zip_of(items));
  EXPECT_FALSE(made.by_content);
  EXPECT_EQ(made.delta.header.format(), 1);
}

TEST(Archives, TheHeadOfTheDeltaSaysWhatADeviceNeeds) {
  const Bytes content = words(200'000, 1);
  Bytes changed = content;
  changed[7] ^= 1;
  for (const auto& made :
       {make_archive(zip_of(jar(false)), zip_of(jar(true))), make_archive(xz_of(content), xz_of(changed))}) {
    ASSERT_TRUE(made.by_content);
    const Bytes head =
        encode_delta_head(made.delta.header, {}, std::vector<ChunkHash>(made.delta.header.body_chunks()));
    EXPECT_EQ(head[4], 3);
    const auto read = read_delta_head(base_reader(head), head.size());
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_TRUE(read->header == made.delta.header);
    Bytes earlier = head;
    earlier[4] = 2;
    EXPECT_FALSE(read_delta_head(base_reader(earlier), earlier.size()));
    DeltaHeader without = made.delta.header;
    without.block_bytes_max = 0;
    // Encoder, two decoders, and what is kept.
    EXPECT_GT(made.delta.header.memory_bytes(), without.memory_bytes() + 300 * 1024);
  }
}

}  // namespace
}  // namespace instar::delta
