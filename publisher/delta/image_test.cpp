// Images of mksquashfs, compared by what is in them, and made again by the decoder that devices run.
#include "publisher/delta/image.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/delta/decoder.hpp"
#include "core/delta/make/image_map.hpp"
#include "publisher/artifact/delta_pack.hpp"
#include "publisher/testing/trees.hpp"

namespace instar::publisher {
namespace {

// Words that compress like programs and texts do.
Bytes prose(std::size_t size, std::uint64_t seed) {
  const Bytes random = noise(size, seed);
  Bytes bytes;
  for (std::size_t i = 0; bytes.size() < size; ++i) {
    const std::string word = "w" + std::to_string(random[i] * 7 % 200) + (random[i] % 11 == 0 ? "\n" : " ");
    bytes.insert(bytes.end(), word.begin(), word.end());
  }
  bytes.resize(size);
  return bytes;
}

delta::ReadAt reader_of(ByteView bytes) {
  return [bytes](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    const std::size_t left = offset < bytes.size() ? bytes.size() - static_cast<std::size_t>(offset) : 0;
    const std::size_t count = std::min(left, out.size());
    std::copy_n(bytes.end() - static_cast<std::ptrdiff_t>(left), count, out.begin());
    return count;
  };
}

class ImageDeltas : public testing::Test {
 protected:
  // Trees with a program of several blocks of which a part moves, many small files, an unchanged one, one with holes,
  // and one that is there twice.
  void SetUp() override {
    for (const auto& [root, is_new] : {std::pair(folder_ / "old", false), std::pair(folder_ / "new", true)}) {
      Bytes program = prose(400'000, 1);
      if (is_new) program.insert(program.begin() + 90'000, 700, std::uint8_t{'x'});
      write_in(root, "bin/program", program, 0755);
      write_in(root, "lib/kept", prose(200'000, 2));
      for (int i = 0; i < 60; ++i) {
        Bytes text = prose(static_cast<std::size_t>(500 + i * 131), static_cast<std::uint64_t>(100 + i));
        if (is_new && i % 7 == 0) text.push_back('!');
        write_in(root, "share/" + std::to_string(i), text);
      }
      if (is_new) write_in(root, "share/fresh", prose(9'000, 77));
      Bytes holes(300'000);
      std::ranges::copy(prose(5'000, 5), holes.begin() + 140'000);
      if (is_new) holes[299'999] = 1;
      write_in(root, "var/holes", holes);
      write_in(root, "var/twice", program);
    }
  }

  Bytes image(const std::string& tree, const std::string& options) {
    const std::string path = folder_ / (tree + ".squashfs");
    const std::string command = "mksquashfs '" + folder_ / tree + "' '" + path +
                                "' -quiet -no-progress -noappend -all-root -mkfs-time 0 -all-time 0 " + options +
                                " >/dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    return *files::read_file(path, 1 << 26);
  }

  files::TemporaryFolder folder_;
};

struct Made {
  bool by_content = false;
  delta::DeltaMaker::Made delta;
};

Made make(const Bytes& old, const Bytes& now, unsigned jobs = 1) {
  DeltaOptions options;
  options.jobs = jobs;
  delta::DeltaMaker maker;
  const auto added = add_image(old, now, options, maker);
  EXPECT_TRUE(added) << added.error().message;
  return {added && *added, maker.finish()};
}

// Makes the image, `step` bytes at a time, from where an earlier process came to. `seen` gets where it came to after
// each step.
Result<Bytes> rebuild(const delta::DeltaMaker::Made& made, const Bytes& old, std::uint64_t step = 1 << 20,
                      const delta::BlockProgress& from = {}, std::vector<delta::BlockProgress>* seen = nullptr) {
  INSTAR_TRY(const auto decoder, delta::Decoder::open(made.header, reader_of(made.body)));
  INSTAR_TRY(const auto start, decoder->next_file());
  EXPECT_TRUE(start && start->is_blocks);
  decoder->resume(from);
  Bytes out;
  for (bool done = false; !done;) {
    INSTAR_TRY(done, decoder->decode(
                         {reader_of(old), old.size()},
                         [&](ByteView bytes) -> Status {
                           out.insert(out.end(), bytes.begin(), bytes.end());
                           return {};
                         },
                         step));
    if (!done && seen != nullptr) seen->push_back(decoder->progress());
  }
  INSTAR_TRY(const auto more, decoder->next_file());
  EXPECT_FALSE(more);
  return out;
}

std::uint64_t cost_of_trees(const std::string& old, const std::string& now, const std::string& out) {
  EXPECT_TRUE(files::make_folders(out));
  const auto pack = write_delta_pack(*open_tree(old, out, {}), *open_tree(now, out, {}), out, {});
  EXPECT_TRUE(pack);
  return pack->wire_bytes();
}

TEST_F(ImageDeltas, AnImageCostsAboutWhatItsTreeDoesAndIsMadeAgainBitForBit) {
  const std::uint64_t of_trees = cost_of_trees(folder_ / "old", folder_ / "new", folder_ / "packs");
  for (const char* options : {"-comp gzip", "-comp gzip -b 16384", "-comp gzip -Xcompression-level 3 -Xwindow-size 12",
                              "-comp gzip -no-fragments", "-comp xz", "-comp xz -b 65536 -Xdict-size 50%", "-comp lz4",
                              "-comp lz4 -Xhc", "-comp zstd", "-comp zstd -Xcompression-level 3 -b 32768",
                              "-comp gzip -noI -noD -noF", "-comp gzip -no-exports"}) {
    const Bytes old = image("old", options);
    const Bytes now = image("new", options);
    const Made made = make(old, now);
    ASSERT_TRUE(made.by_content) << options;
    EXPECT_EQ(made.delta.header.format(), 2) << options;
    EXPECT_LT(made.delta.body.size(), of_trees + of_trees / 20 + 4'000) << options;
    const auto back = rebuild(made.delta, old);
    ASSERT_TRUE(back) << options << ": " << back.error().message;
    EXPECT_TRUE(*back == now) << options;
  }
}

TEST_F(ImageDeltas, AnImageOfTheSameTreeIsCopiedFromTheBase) {
  const Bytes old = image("old", "-comp gzip");
  const Made made = make(old, old);
  ASSERT_TRUE(made.by_content);
  EXPECT_LT(made.delta.body.size(), 1'500U);
  EXPECT_TRUE(*rebuild(made.delta, old) == old);
}

TEST_F(ImageDeltas, AKilledDeviceGoesOnFromEachPlace) {
  const Bytes old = image("old", "-comp gzip -b 32768");
  const Bytes now = image("new", "-comp gzip -b 32768");
  const Made made = make(old, now);
  std::vector<delta::BlockProgress> seen;
  ASSERT_TRUE(*rebuild(made.delta, old, 20'000, {}, &seen) == now);
  ASSERT_GT(seen.size(), 20U);
  std::uint32_t last_part = 0;
  for (const auto& progress : seen) {
    const auto rest = rebuild(made.delta, old, 1 << 20, progress);
    ASSERT_TRUE(rest) << rest.error().message;
    ASSERT_TRUE(std::ranges::equal(*rest, ByteView(now).subspan(static_cast<std::size_t>(progress.bytes))))
        << progress.part << ", " << progress.bytes;
    last_part = std::max(last_part, progress.part);
  }
  EXPECT_GT(last_part, 5U) << "earlier parts are passed over";
}

TEST_F(ImageDeltas, TheOutcomeDoesNotDependOnThreadsOrSteps) {
  const Bytes old = image("old", "-comp gzip");
  const Bytes now = image("new", "-comp gzip");
  const Made one = make(old, now, 1);
  const Made many = make(old, now, 3);
  EXPECT_TRUE(one.delta.body == many.delta.body && one.delta.header == many.delta.header);
  EXPECT_TRUE(*rebuild(one.delta, old, 1) == now);
}

TEST_F(ImageDeltas, BlocksThatDoNotComeOutTravelAsTheyAreAndManyOfThemEndIt) {
  const Bytes old = image("old", "-comp gzip -Xcompression-level 2");
  Bytes now = image("new", "-comp gzip -Xcompression-level 2");
  ASSERT_EQ(now[98], 2) << "the level in the options of the image";
  now[98] = 9;  // as if something else had compressed it
  EXPECT_FALSE(make(old, now).by_content);
  const Bytes best = image("old", "-comp gzip");
  EXPECT_FALSE(make(best, now).by_content);
  EXPECT_FALSE(make(best, image("new", "-comp lzo")).by_content) << "no method that is known";
  EXPECT_FALSE(make(best, image("new", "-comp xz")).by_content) << "another method";
}

TEST_F(ImageDeltas, AMemoryOfADeviceIsWithinItsBounds) {
  const Bytes old = image("old", "-comp gzip");
  EXPECT_LE(make(old, image("new", "-comp gzip")).delta.header.memory_bytes(), 2'500'000U);
  for (const char* options : {"-comp xz", "-comp zstd"}) {
    const Bytes other = image("old", options);
    EXPECT_LE(make(other, image("new", options)).delta.header.memory_bytes(), 5'000'000U) << options;
  }
}

// Whatever an image is: it is taken as any file, or it comes out bit for bit.
TEST_F(ImageDeltas, ABrokenImageIsMadeAgainOrRefused) {
  for (const char* tree : {"old", "new"}) {
    std::filesystem::remove_all(folder_ / tree + "/bin");
    std::filesystem::remove_all(folder_ / tree + "/lib");
    std::filesystem::remove_all(folder_ / tree + "/var");
  }
  const Bytes old = image("old", "-comp gzip -b 8192");
  const Bytes now = image("new", "-comp gzip -b 8192");
  const Bytes places = noise(400, 3);
  int made_again = 0;
  for (std::size_t i = 0; i + 3 < places.size(); i += 4) {
    Bytes broken_old = old;
    Bytes broken = now;
    // Of the superblock, of the tables at the end, or anywhere.
    const std::size_t any = (places[i + 1] << 16 | places[i + 2] << 8 | places[i + 3]) % now.size();
    const std::size_t at = i % 3 == 0 ? any % 96 : i % 3 == 1 ? now.size() - 1 - any % 4096 : any;
    broken[at] ^= static_cast<std::uint8_t>(1 + places[i]);
    if (places[i] % 2 == 0) broken_old[std::min(at, old.size() - 1)] ^= 0x10;
    if (places[i] % 5 == 0) broken.resize(broken.size() - any);
    const Made made = make(broken_old, broken);
    if (!made.by_content) continue;
    ++made_again;
    const auto back = rebuild(made.delta, broken_old);
    ASSERT_TRUE(back) << i << ": " << back.error().message;
    ASSERT_TRUE(*back == broken) << i;
  }
  EXPECT_GT(made_again, 10);
}

TEST_F(ImageDeltas, AFolderThatHoldsItselfHundredsOfTimesIsReadOnce) {
  for (int i = 100; i < 400; ++i) std::filesystem::create_directories(folder_ / ("loop/" + std::to_string(i)));
  Bytes image = this->image("loop", "-comp gzip -noI -noD -noF -noX");
  const auto number = [&](std::size_t at, unsigned bytes) {
    std::uint64_t value = 0;
    for (unsigned i = bytes; i > 0; --i) value = value << 8U | image.at(at + i - 1);
    return value;
  };
  const auto put = [&](std::size_t at, std::uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) image.at(at + i) = static_cast<std::uint8_t>(value >> 8U * i);
  };
  // The root's listing is the only one, and not compressed: rows of a place and a name, behind heads with their number.
  const std::uint64_t root = number(32, 8);
  const std::size_t folders = number(72, 8);
  const std::size_t end = folders + 2 + (number(folders, 2) & 0x7fffU);
  std::size_t rows = 0;
  for (std::size_t at = folders + 2; at < end;) {
    const auto count = number(at, 4) + 1;
    put(at + 4, root >> 16U, 4);
    at += 12;
    for (std::uint64_t i = 0; i < count; ++i, ++rows) {
      put(at, root & 0xffffU, 2);
      at += 8 + number(at + 6, 2) + 1;
    }
  }
  ASSERT_EQ(rows, 300U);
  EXPECT_TRUE(delta::map_squashfs(image)) << "and in a moment: each level has three hundred times more than the last";
}

}  // namespace
}  // namespace instar::publisher
