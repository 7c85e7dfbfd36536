// Files matched, packed, and rebuilt by the decoder that devices run.
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "core/base/limits.hpp"
#include "core/delta/make/maker.hpp"

namespace instar::delta {
namespace {

ReadAt reader_of(const Bytes& bytes) {
  return [&bytes](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    const std::size_t left = offset < bytes.size() ? bytes.size() - static_cast<std::size_t>(offset) : 0;
    const std::size_t count = std::min(left, out.size());
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() - left), count, out.begin());
    return count;
  };
}

Bytes random_bytes(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  Bytes bytes(count);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

struct Pair {
  Bytes old;
  Bytes now;
};

DeltaMaker::Made make(const std::vector<Pair>& files, const MatchOptions& options = {}) {
  DeltaMaker maker;
  for (const Pair& file : files) {
    FileDelta made = match_file(file.old, file.now, options);
    made.control.base = file.old.empty() ? BaseKind::none : BaseKind::same_path;
    maker.add(made);
  }
  return maker.finish();
}

// Rebuilds all files, `step` bytes a call.
Result<std::vector<Bytes>> rebuild(const DeltaMaker::Made& made, const std::vector<Pair>& files,
                                   std::uint64_t step = 1 << 20) {
  INSTAR_TRY(const auto decoder, Decoder::open(made.header, reader_of(made.body)));
  std::vector<Bytes> rebuilt;
  while (true) {
    INSTAR_TRY(const auto start, decoder->next_file());
    if (!start) return rebuilt;
    const Bytes& old = files.at(rebuilt.size()).old;
    rebuilt.emplace_back();
    bool done = false;
    while (!done) {
      INSTAR_TRY(done, decoder->decode(
                           {reader_of(old), old.size()},
                           [&](ByteView bytes) -> Status {
                             rebuilt.back().insert(rebuilt.back().end(), bytes.begin(), bytes.end());
                             return {};
                           },
                           step));
    }
  }
}

void expect_round_trip(const std::vector<Pair>& files) {
  const auto made = make(files);
  for (const std::uint64_t step : {std::uint64_t{1}, std::uint64_t{5000}, std::uint64_t{1} << 30}) {
    const auto rebuilt = rebuild(made, files, step);
    ASSERT_TRUE(rebuilt.has_value()) << rebuilt.error().message;
    ASSERT_EQ(rebuilt->size(), files.size());
    for (std::size_t i = 0; i < files.size(); ++i)
      EXPECT_TRUE((*rebuilt)[i] == files[i].now) << "file " << i << " in steps of " << step;
  }
}

Bytes edited(Bytes bytes, unsigned seed) {
  std::mt19937 random(seed);
  for (int i = 0; i < 20; ++i) {
    const auto at = static_cast<std::ptrdiff_t>(random() % bytes.size());
    switch (random() % 3) {
      case 0: bytes[static_cast<std::size_t>(at)] ^= 0x55; break;
      case 1: {
        const Bytes added = random_bytes(random() % 300, static_cast<unsigned>(random()));
        bytes.insert(bytes.begin() + at, added.begin(), added.end());
        break;
      }
      default:
        bytes.erase(bytes.begin() + at, bytes.begin() + std::min<std::ptrdiff_t>(at + 200, std::ssize(bytes) - 1));
        break;
    }
  }
  return bytes;
}

TEST(Delta, RebuildsFilesOfEverySize) {
  std::vector<Pair> files;
  for (const std::size_t size : {1U, 2U, 3U, 100U, 4095U, 4096U, 4097U, 16384U, 100'000U, 300'000U}) {
    const Bytes old = random_bytes(size, static_cast<unsigned>(size));
    files.push_back({old, edited(old, 7)});
    files.push_back({old, old});
    files.push_back({{}, old});
    files.push_back({old, random_bytes(size / 2 + 1, 3)});
  }
  expect_round_trip(files);
}

TEST(Delta, RebuildsZerosAndRepetitions) {
  Bytes cycle(200'000);
  for (std::size_t i = 0; i < cycle.size(); ++i) cycle[i] = static_cast<std::uint8_t>(i % 251);
  Bytes shifted(cycle.begin() + 13, cycle.end());
  expect_round_trip(
      {{Bytes(500'000), Bytes(600'000)}, {Bytes(1000), Bytes(1'000'000)}, {cycle, shifted}, {shifted, cycle}});
}

TEST(Delta, IsNothingForNoFiles) {
  const auto made = make({});
  EXPECT_TRUE(made.body.empty());
  EXPECT_TRUE(rebuild(made, {})->empty());
}

TEST(Delta, RebuildsProgramsWithPredictedReferences) {
  // Programs of this machine that are linked with much the same code: this test itself, and a library that it runs on.
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const Bytes self((std::istreambuf_iterator<char>(file)), {});
  ASSERT_GT(self.size(), 100'000U);
  // Code that moves while its references stay the same: wrong predictions must only cost bytes.
  Bytes moved = self;
  moved.insert(moved.begin() + static_cast<std::ptrdiff_t>(self.size() / 2), 4096, 0x90);
  expect_round_trip({{self, moved}, {moved, self}});
}

TEST(Delta, SkipsAFileWithoutItsBase) {
  const Bytes old = random_bytes(50'000, 1);
  const std::vector<Pair> files{{old, edited(old, 2)}, {old, edited(old, 3)}};
  const auto made = make(files);
  const auto decoder = std::move(*Decoder::open(made.header, reader_of(made.body)));
  ASSERT_TRUE(decoder->next_file()->has_value());
  bool done = false;
  while (!done) done = *decoder->skip(999);
  ASSERT_TRUE(decoder->next_file()->has_value());
  Bytes now;
  const auto rest = decoder->decode(
      {reader_of(old), old.size()},
      [&](ByteView bytes) -> Status {
        now.insert(now.end(), bytes.begin(), bytes.end());
        return {};
      },
      1 << 30);
  ASSERT_TRUE(rest && *rest);
  EXPECT_TRUE(now == files[1].now);
  EXPECT_FALSE(decoder->next_file()->has_value());
}

TEST(Delta, AShorterBaseIsAnError) {
  const Bytes old = random_bytes(50'000, 1);
  const auto made = make({{old, edited(old, 2)}});
  const Bytes shorter(old.begin(), old.begin() + 20'000);
  const auto rebuilt = rebuild(made, {{shorter, {}}});
  ASSERT_FALSE(rebuilt.has_value());
  EXPECT_EQ(rebuilt.error().code, Code::corrupt);
}

TEST(Delta, ABrokenBodyEndsWithinTheBounds) {
  const Bytes old = random_bytes(3'000, 1);
  const std::vector<Pair> files{{old, edited(old, 2)}, {{}, to_bytes("a new file")}};
  const auto made = make(files);
  int wrong = 0;
  for (std::size_t i = 0; i < made.body.size(); ++i) {
    auto broken = made;
    broken.body[i] ^= 0x20;
    const auto rebuilt = rebuild(broken, files);
    // What comes out is not checked here but by the hash; it must end, and not be larger than the header allows.
    wrong += !rebuilt || (*rebuilt)[0] != files[0].now || (*rebuilt)[1] != files[1].now ? 1 : 0;
  }
  EXPECT_GT(wrong, static_cast<int>(made.body.size()) * 9 / 10);
}

TEST(Delta, KeepsToTheBoundOfOperations) {
  // Pieces of 40 bytes in another order: an operation each.
  const Bytes old = random_bytes(limits::kDeltaOperationsMax * 60, 1);
  std::vector<std::size_t> order(old.size() / 40);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937(5));
  Bytes now;
  for (const std::size_t piece : order)
    now.insert(now.end(), old.begin() + static_cast<std::ptrdiff_t>(piece * 40),
               old.begin() + static_cast<std::ptrdiff_t>(piece * 40 + 40));
  const auto made = make({{old, now}});
  EXPECT_LE(made.header.operations_max, limits::kDeltaOperationsMax);
  EXPECT_TRUE((*rebuild(made, {{old, now}}))[0] == now);
}

TEST(Sketch, ShowsHowMuchFilesAreAlike) {
  const Bytes old = random_bytes(100'000, 1);
  EXPECT_EQ(similarity(make_sketch(old), make_sketch(old)), 1.0);
  EXPECT_GT(similarity(make_sketch(old), make_sketch(edited(old, 4))), 0.6);
  EXPECT_LT(similarity(make_sketch(old), make_sketch(random_bytes(100'000, 2))), 0.1);
  EXPECT_EQ(similarity(make_sketch({}), make_sketch(old)), 0.0);
}

TEST(DeltaHead, ReadsWhatWasWritten) {
  const Bytes old = random_bytes(200'000, 1);
  auto made = make({{old, edited(old, 2)}, {{}, random_bytes(150'000, 9)}});
  const Bytes index_delta = to_bytes("an index delta");
  made.header.entry_count = 17;
  made.header.index_delta_bytes = static_cast<std::uint32_t>(index_delta.size());
  std::vector<ChunkHash> body(made.header.body_chunks());
  ASSERT_EQ(body.size(), 3U);
  body[2].bytes[5] = 1;
  const Bytes bytes = encode_delta_head(made.header, index_delta, body);
  const auto head = read_delta_head(reader_of(bytes), bytes.size());
  ASSERT_TRUE(head.has_value()) << head.error().message;
  EXPECT_EQ(head->header, made.header);
  EXPECT_EQ(head->body, body);
  EXPECT_EQ(as_text(ByteView(bytes).subspan(head->index_delta_offset, index_delta.size())), "an index delta");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_FALSE(read_delta_head(reader_of(cut), i).has_value()) << i;
  }
}

}  // namespace
}  // namespace instar::delta
