// The worked example of docs/formats/delta.md, and what is wrong with a head or a control stream, one thing at a time.
// Whole files there and back: make/delta_test.cpp.
#include "core/delta/decoder.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/base/limits.hpp"
#include "core/delta/file_control.hpp"
#include "core/trust/digest.hpp"

namespace instar::delta {
namespace {

constexpr std::size_t kHeadBytes = 67;

Bytes read_example() {
  std::ifstream in(std::string(INSTAR_SOURCE_DIR) + "/tests/fixtures/delta.hex");
  std::string digits;
  for (std::string line; std::getline(in, line);) digits += line;
  Bytes bytes;
  EXPECT_TRUE(from_hex(digits, bytes));
  return bytes;
}

ReadAt reader_of(ByteView bytes) {
  return [bytes](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    const std::size_t left = offset < bytes.size() ? bytes.size() - static_cast<std::size_t>(offset) : 0;
    const std::size_t count = std::min(left, out.size());
    std::copy_n(bytes.end() - static_cast<std::ptrdiff_t>(left), count, out.begin());
    return count;
  };
}

std::string old_text() {
  std::string text;
  for (int i = 1; i <= 20; ++i) text += "line " + std::to_string(i) + " of the file as it was\n";
  return text;
}

std::string new_text() {
  std::string text = old_text();
  text.replace(text.find("line 7"), 6, "Line 7");
  return text.insert(text.find("line 15"), "a line that is new, and unlike the others\n");
}

TEST(DeltaExample, IsDecoded) {
  const Bytes example = read_example();
  const auto head = read_delta_head(reader_of(ByteView(example).first(kHeadBytes)), kHeadBytes);
  ASSERT_TRUE(head.has_value()) << head.error().message;
  EXPECT_EQ(head->header.file_count, 1U);
  EXPECT_EQ(head->header.operations_max, 2U);
  EXPECT_EQ(head->header.entry_count, 2U);
  const ByteView body = ByteView(example).subspan(kHeadBytes);
  ASSERT_EQ(head->header.body_bytes(), body.size());
  ASSERT_EQ(head->body.size(), 1U);
  EXPECT_EQ(head->body[0], trust::digest(body));
  EXPECT_EQ(to_hex(ByteView(example).subspan(head->index_delta_offset, 3)), "0140c7");
  const auto decoder = std::move(*Decoder::open(head->header, reader_of(body)));
  const auto start = decoder->next_file();
  ASSERT_TRUE(start && *start);
  EXPECT_EQ((*start)->base, BaseKind::same_path);
  EXPECT_EQ((*start)->size, 633U);
  const std::string old = old_text();
  std::string made;
  const auto done = decoder->decode(
      {reader_of(as_bytes(old)), old.size()},
      [&](ByteView bytes) -> Status {
        made += as_text(bytes);
        return {};
      },
      1000);
  ASSERT_TRUE(done.has_value()) << done.error().message;
  EXPECT_TRUE(*done);
  EXPECT_EQ(made, new_text());
  EXPECT_FALSE(decoder->next_file()->has_value());
}

TEST(DeltaExample, HeadIsEncodedAgain) {
  const Bytes example = read_example();
  const auto head = read_delta_head(reader_of(ByteView(example).first(kHeadBytes)), kHeadBytes).value();
  const Bytes again = encode_delta_head(head.header, ByteView(example).subspan(head.index_delta_offset, 3), head.body);
  EXPECT_EQ(to_hex(again), to_hex(ByteView(example).first(kHeadBytes)));
}

TEST(DeltaHeadBroken, EachFlippedByteIsFoundOrMeansSomethingElse) {
  const Bytes example = read_example();
  const auto whole = read_delta_head(reader_of(ByteView(example).first(kHeadBytes)), kHeadBytes).value();
  for (std::size_t i = 0; i < kHeadBytes; ++i) {
    Bytes broken(example.begin(), example.begin() + kHeadBytes);
    broken[i] ^= 0xff;
    const auto read = read_delta_head(reader_of(broken), kHeadBytes);
    const bool in_index_delta = i >= whole.index_delta_offset && i < whole.index_delta_offset + 3;
    if (in_index_delta) continue;  // for the index delta's own reader
    EXPECT_TRUE(!read || read->header != whole.header || read->body != whole.body) << "byte " << i;
  }
}

Code code_of_head(Bytes head) {
  const auto read = read_delta_head(reader_of(head), head.size());
  return read ? Code::ok : read.error().code;
}

TEST(DeltaHeadBroken, SaysWhatIsWrong) {
  const Bytes example = read_example();
  const Bytes head(example.begin(), example.begin() + kHeadBytes);
  Bytes later = head;
  later[4] = 5;
  EXPECT_EQ(code_of_head(later), Code::unsupported);
  Bytes other = head;
  other[0] = 'X';
  EXPECT_EQ(code_of_head(other), Code::malformed);
  Bytes flags = head;
  flags[5] = 2;
  EXPECT_EQ(code_of_head(flags), Code::malformed);
  Bytes settings = head;
  settings[11] = 225;  // pb 5
  EXPECT_EQ(code_of_head(settings), Code::malformed);
  Bytes longer = head;
  longer.push_back(0);
  EXPECT_EQ(code_of_head(longer), Code::malformed);
}

TEST(DeltaHead, SaysThatReferencesOf32BitArmArePredicted) {
  DeltaHeader header;
  header.uses_arm = true;
  for (const bool has_blocks : {false, true}) {
    header.uses_gzip = has_blocks;
    header.block_bytes_max = has_blocks ? 65536 : 0;
    header.stretches_max = has_blocks ? 5 : 0;
    header.block_methods = has_blocks ? 2 : 0;
    EXPECT_EQ(header.format(), 4);
    const Bytes head = encode_delta_head(header, {}, {});
    const auto read = read_delta_head(reader_of(head), head.size());
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->header, header);
    // Its methods without blocks, and flags that there are not.
    for (const auto& [at, value] : {std::pair<std::size_t, int>{head.size() - 2, 1}, {5, 7}, {5, 1}}) {
      Bytes broken = head;
      broken[at] = static_cast<std::uint8_t>(value);
      EXPECT_EQ(code_of_head(broken), Code::malformed) << at;
    }
  }
}

// --- control streams --------------------------------------------------------------------------------
Code code_of_control(const Bytes& control, bool takes_arm = false) {
  std::size_t at = 0;
  const auto next = [&](std::span<std::uint8_t> out) -> Status {
    if (out.size() > control.size() - at) return fail(Code::corrupt, "short");
    std::copy_n(control.begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
    at += out.size();
    return {};
  };
  ControlReader reader(next, takes_arm);
  const auto file = reader.file();
  if (!file) return file.error().code;
  CopyMap map;
  const auto operations = reader.operations(map, 100);
  return operations ? Code::ok : operations.error().code;
}

TEST(DeltaControl, RefusesWhatContradictsItself) {
  EXPECT_EQ(code_of_control({0x00, 1, 0, 5}), Code::ok);
  EXPECT_EQ(code_of_control({0x20, 1, 0, 5}), Code::malformed);        // a flag that there is not
  EXPECT_EQ(code_of_control({0x03, 1, 0, 5}), Code::malformed);        // a base that there is not
  EXPECT_EQ(code_of_control({0x04, 1, 0, 5}), Code::malformed);        // predicts without a base
  EXPECT_EQ(code_of_control({0x08, 1, 0, 5}), Code::malformed);        // a gzip base without a base
  EXPECT_EQ(code_of_control({0x0d, 1, 0, 5}), Code::malformed);        // predicts inside gzip
  EXPECT_EQ(code_of_control({0x02, 0, 1, 0, 5}), Code::malformed);     // an empty path
  EXPECT_EQ(code_of_control({0x01, 0x80, 0x00, 0}), Code::malformed);  // a number that is not the shortest
  EXPECT_EQ(code_of_control({0x01, 1, 5, 0, 1}), Code::malformed);     // a copy from before the base's start
  EXPECT_EQ(code_of_control({0x01, 1, 5}), Code::corrupt);             // cut off
  EXPECT_EQ(code_of_control({0x00, 101}), Code::malformed);            // more operations than promised
  EXPECT_EQ(code_of_control({0x01, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0, 0}), Code::malformed);  // 4 GiB and more
}

TEST(DeltaControl, TakesModesOf32BitArmWhereTheHeadSaysSo) {
  const Bytes file{0x85, 2, 0x10, 0x20, 1, 0, 5};
  EXPECT_EQ(code_of_control(file, true), Code::ok);
  EXPECT_EQ(code_of_control(file, false), Code::malformed);
  EXPECT_EQ(code_of_control({0x85, 0, 1, 0, 5}, true), Code::ok);
  EXPECT_EQ(code_of_control({0x81, 0, 1, 0, 5}, true), Code::malformed);  // modes, but nothing is predicted
  EXPECT_EQ(code_of_control({0x85, 0x81, 8}, true), Code::malformed);     // 1,025 switches
  EXPECT_EQ(code_of_control({0x85, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 0, 5}, true), Code::malformed);  // past 4 GiB
}

TEST(CopyMap, FindsTheLongestCopyThatCovers) {
  CopyMap map;
  map.add({1000, 500, 0});  // → 0
  map.add({1100, 20, 10});  // → 500, inside the first
  map.add({3000, 100, 0});  // → 530
  map.seal();
  EXPECT_EQ(map.find(1110), 110);
  EXPECT_EQ(map.find(1499), 499);
  EXPECT_EQ(map.find(1600), 600);  // nearest: the first
  EXPECT_EQ(map.find(2999), 529);  // nearest: the last
  EXPECT_EQ(map.find(900), -100);
  EXPECT_EQ(map.operation(1), (Operation{1100, 20, 10}));
  EXPECT_EQ(CopyMap().find(5), std::nullopt);
}

}  // namespace
}  // namespace instar::delta
