// Files of blocks: the example of docs/formats/blocks.md, and what is wrong with a control stream, one thing at a time.
// Whole images there and back: publisher/delta/image_test.cpp.
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/delta/block_writer.hpp"
#include "core/delta/file_control.hpp"

namespace instar::delta {
namespace {

constexpr std::uint32_t kBlock = 64;

Bytes hex(std::string_view digits) {
  std::string packed;
  for (const char c : digits) {
    if (c != ' ') packed += c;
  }
  Bytes bytes;
  EXPECT_TRUE(from_hex(packed, bytes)) << digits;
  return bytes;
}

// The control stream, and what a device does with it.
struct Scene {
  Bytes control;
  Bytes base;
  Bytes made;
  std::size_t at = 0;
  ControlReader reader{[this](std::span<std::uint8_t> out) -> Status {
    if (out.size() > control.size() - at) return fail(Code::corrupt, "short");
    std::copy_n(control.begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
    at += out.size();
    return {};
  }};
  ReadAt read_base = [this](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    const std::size_t left = offset < base.size() ? base.size() - static_cast<std::size_t>(offset) : 0;
    const std::size_t count = std::min(left, out.size());
    std::copy_n(base.end() - static_cast<std::ptrdiff_t>(left), count, out.begin());
    return count;
  };

  // One part whose content is `content`; `control` has its steps only.
  Status write(const BlockHead& head, ByteView content, std::uint64_t there = 0) {
    BlockWriter writer(head, reader, read_base, [this](ByteView bytes) -> Status {
      made.insert(made.end(), bytes.begin(), bytes.end());
      return {};
    });
    writer.resume(there);
    writer.begin_part(0, 0);
    INSTAR_CHECK(writer.take(content));
    while (true) {
      INSTAR_TRY(const bool advanced, writer.advance());
      if (!advanced) break;
    }
    INSTAR_CHECK(writer.end_part());
    return writer.finish();
  }
};

Bytes compressed(ByteView content, const BlockSpec& spec = {}) {
  Bytes out(content.size() + 100);
  out.resize(BlockEncoder::make(spec)->encode(content, out).value());
  return out;
}

BlockHead head_of_one_spec() {
  BlockHead head;
  head.block_bytes = kBlock;
  head.specs = {BlockSpec{}};
  return head;
}

Code code_of(const Status& status) {
  return status ? Code::ok : status.error().code;
}

Bytes steps(const std::vector<BlockStep>& list) {
  Bytes bytes;
  std::uint32_t copied = 0;
  for (const BlockStep& step : list) append_block_step(bytes, step, copied);
  return bytes;
}

TEST(Blocks, TheExampleOfThePageIsReadAndMade) {
  Scene scene;
  scene.control = hex("21 01 40 01 01 f9 00 02 06 03 19 01 01 01 06 40 01 40 00 00 65 00");
  const Bytes content(kBlock, 'x');
  const Bytes block = compressed(content);
  ASSERT_EQ(block.size(), 12U);
  scene.base = to_bytes("abc");
  scene.base.insert(scene.base.end(), block.begin(), block.end());
  const auto file = scene.reader.file({2, kBlock, 4096, 0xff});
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(file->is_blocks);
  EXPECT_EQ(file->blocks.old.bytes(), scene.base.size());
  EXPECT_EQ(file->blocks.old.unpacked_bytes(), 3 + kBlock);
  EXPECT_EQ(file->blocks.part_count, 1U);
  const auto part = scene.reader.part(file->blocks);
  ASSERT_TRUE(part) << part.error().message;
  EXPECT_EQ(part->extents, (std::vector<BlockExtent>{{3, kBlock}}));
  CopyMap map;
  ASSERT_TRUE(scene.reader.operations(map, 1));
  BlockReader blocks(file->blocks.old, file->blocks.old_method, scene.read_base, kBlock);
  ExtentView view(blocks, part->extents);
  Bytes old(kBlock);
  ASSERT_EQ(view.read(0, old).value(), kBlock);
  ASSERT_TRUE(scene.write(file->blocks, old));
  EXPECT_EQ(to_hex(scene.made), to_hex(block));
  EXPECT_EQ(scene.at, scene.control.size());

  Bytes again;
  append_file_control(again, *file);
  append_part_control(again, *part);
  append_operations(again, {{0, kBlock, 0}});
  const Bytes of_steps = steps({{BlockStepKind::full, 12, kBlock, 0}, {}});
  again.insert(again.end(), of_steps.begin(), of_steps.end());
  EXPECT_EQ(to_hex(again), to_hex(scene.control));
}

TEST(Blocks, ContentGoesWhereTheStepsSay) {
  Scene scene;
  scene.base = to_bytes("0123456789");
  const Bytes content = to_bytes("storeddroppedheld1held2" + std::string(40, 'y'));
  const Bytes held = compressed(as_bytes("held1held2"));
  const Bytes block = compressed(as_bytes(std::string(40, 'y')));
  scene.control = steps({{BlockStepKind::copy, 3, 0, 4},
                         {BlockStepKind::store, 6, 0, 0},
                         {BlockStepKind::drop, 7, 0, 0},
                         {BlockStepKind::hold, 5, 0, 0},
                         {BlockStepKind::hold, 5, 0, 0},
                         {BlockStepKind::held, static_cast<std::uint32_t>(held.size()), 0, 0},
                         {BlockStepKind::block, static_cast<std::uint32_t>(block.size()), 40, 0},
                         {BlockStepKind::copy, 2, 0, 0},
                         {}});
  ASSERT_TRUE(scene.write(head_of_one_spec(), content));
  Bytes wanted = to_bytes("456stored");
  wanted.insert(wanted.end(), held.begin(), held.end());
  wanted.insert(wanted.end(), block.begin(), block.end());
  wanted.insert(wanted.end(), {'0', '1'});
  EXPECT_EQ(to_hex(scene.made), to_hex(wanted));

  for (std::size_t there = 0; there <= wanted.size(); ++there) {
    scene.at = 0;
    scene.made.clear();
    ASSERT_TRUE(scene.write(head_of_one_spec(), content, there));
    EXPECT_EQ(to_hex(scene.made), to_hex(ByteView(wanted).subspan(there))) << there;
  }
}

TEST(Blocks, StepsThatDoNotFitTheContentAreRefused) {
  const auto code = [](const std::vector<BlockStep>& list, std::string_view content) {
    Scene scene;
    scene.base = to_bytes("0123456789");
    scene.control = steps(list);
    return code_of(scene.write(head_of_one_spec(), as_bytes(content)));
  };
  EXPECT_EQ(code({{BlockStepKind::store, 3, 0, 0}, {}}, "abc"), Code::ok);
  EXPECT_EQ(code({{BlockStepKind::store, 3, 0, 0}, {}}, "ab"), Code::malformed);
  EXPECT_EQ(code({{BlockStepKind::store, 3, 0, 0}, {}}, "abcd"), Code::malformed);
  EXPECT_EQ(code({{BlockStepKind::hold, 3, 0, 0}, {}}, "abc"), Code::malformed) << "it goes into no block";
  EXPECT_EQ(code({{BlockStepKind::copy, 11, 0, 0}, {}}, ""), Code::corrupt) << "the base is shorter";
  EXPECT_EQ(code({{BlockStepKind::block, 5, 3, 0}, {}}, "abc"), Code::unsupported) << "another size than it has";
  EXPECT_EQ(code({{BlockStepKind::hold, 60, 0, 0}, {BlockStepKind::hold, 5, 0, 0}, {}}, std::string(65, 'a')),
            Code::malformed)
      << "more than a block";
  EXPECT_EQ(code({{BlockStepKind::store, 3, 0, 0}}, "abc"), Code::corrupt) << "no end";
}

BlockHead head_of_streams(BlockMethod method) {
  BlockHead head = head_of_one_spec();
  head.specs = {{method, 6, 15, method == BlockMethod::lzma2 ? 4096U : 0U}};
  return head;
}

Bytes streamed(ByteView content, const BlockSpec& spec) {
  Bytes out;
  const auto encoder = BlockStreamEncoder::make(spec, [&](ByteView made) -> Status {
    out.insert(out.end(), made.begin(), made.end());
    return {};
  });
  EXPECT_TRUE(encoder->write(content) && encoder->finish());
  return out;
}

Bytes ramp(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(i / 5 * (i / 90 + 3));
  return bytes;
}

TEST(Blocks, StreamsAreLargerThanABlockAndGoOnFromEachPlace) {
  for (const BlockMethod method : {BlockMethod::deflate, BlockMethod::lzma2}) {
    const BlockHead head = head_of_streams(method);
    const Bytes first = ramp(40 * kBlock);
    const Bytes second = ramp(kBlock);
    const Bytes one = streamed(first, head.specs[0]);
    const Bytes two = streamed(second, head.specs[0]);
    Scene scene;
    scene.control = steps({{BlockStepKind::store, 5, 0, 0},
                           {BlockStepKind::block, static_cast<std::uint32_t>(one.size()), 40 * kBlock, 0},
                           {BlockStepKind::full, static_cast<std::uint32_t>(two.size()), kBlock, 0},
                           {}});
    Bytes content = to_bytes("plain");
    content.insert(content.end(), first.begin(), first.end());
    content.insert(content.end(), second.begin(), second.end());
    Bytes wanted = to_bytes("plain");
    wanted.insert(wanted.end(), one.begin(), one.end());
    wanted.insert(wanted.end(), two.begin(), two.end());
    for (std::size_t there = 0; there <= wanted.size(); ++there) {
      scene.at = 0;
      scene.made.clear();
      ASSERT_TRUE(scene.write(head, content, there));
      ASSERT_EQ(to_hex(scene.made), to_hex(ByteView(wanted).subspan(there))) << there;
    }
  }
}

TEST(Blocks, AStreamThatComesOutOtherwiseIsToldFromAnother) {
  const BlockHead head = head_of_streams(BlockMethod::deflate);
  const Bytes content = ramp(1000);
  const auto bytes = static_cast<std::uint32_t>(streamed(content, head.specs[0]).size());
  const auto code = [&](std::uint32_t wanted) {
    Scene scene;
    scene.control = steps({{BlockStepKind::block, wanted, 1000, 0}, {}});
    return code_of(scene.write(head, content));
  };
  EXPECT_EQ(code(bytes), Code::ok);
  EXPECT_EQ(code(bytes - 1), Code::unsupported);
  EXPECT_EQ(code(bytes + 1), Code::unsupported);
  Scene held;
  held.control = steps({{BlockStepKind::hold, 10, 0, 0}, {BlockStepKind::held, 12, 0, 0}, {}});
  EXPECT_EQ(code_of(held.write(head, as_bytes("0123456789"))), Code::malformed) << "no stream is made of what is held";
}

TEST(Blocks, StreamsOfABaseAreReadAtAnyPlace) {
  for (const BlockMethod method : {BlockMethod::deflate, BlockMethod::lzma2}) {
    const BlockSpec spec = head_of_streams(method).specs[0];
    Scene scene;
    Bytes unpacked;
    BlockTable table;
    for (const Bytes& content : {ramp(300), ramp(50), ramp(700), to_bytes("plain")}) {
      const Bytes packed = content.size() == 5 ? content : streamed(content, spec);
      scene.base.insert(scene.base.end(), packed.begin(), packed.end());
      unpacked.insert(unpacked.end(), content.begin(), content.end());
      ASSERT_TRUE(table.add({static_cast<std::uint32_t>(packed.size()), static_cast<std::uint32_t>(content.size())}));
    }
    // Those of 300 and 700 bytes are not kept.
    BlockReader reader(table, method, scene.read_base, kBlock, spec.dictionary_bytes);
    for (std::size_t i = 0; i < 2000; ++i) {
      const std::size_t from = i * 7919 % unpacked.size();
      Bytes out(std::min<std::size_t>(i % 130, unpacked.size() - from));
      ASSERT_TRUE(reader.read(from, out));
      ASSERT_TRUE(std::ranges::equal(out, ByteView(unpacked).subspan(from, out.size()))) << from;
    }
    scene.base[20] ^= 0x55;
    scene.base.resize(scene.base.size() - 300);
    BlockReader damaged(table, method, scene.read_base, kBlock, spec.dictionary_bytes);
    Bytes out(700);
    EXPECT_EQ(code_of(damaged.read(350, out)), Code::corrupt) << "the base is shorter";
  }
}

TEST(Blocks, StreamsAreRefusedThatTheHeadDoesNotName) {
  const auto code = [](std::string_view digits, const BlockPromise& promise) {
    Scene scene;
    scene.control = hex(digits);
    const auto read = scene.reader.file(promise);
    return read ? Code::ok : read.error().code;
  };
  const BlockPromise deflate{2, kBlock, 0, method_bit(BlockMethod::deflate)};
  const BlockPromise lzma2{2, kBlock, 4096, method_bit(BlockMethod::lzma2)};
  // Stretches: 65 bytes that unpack to 200.
  EXPECT_EQ(code("21 05 40 01 05 f6 00 01 8201 c801 01", deflate), Code::ok);
  EXPECT_EQ(code("21 05 40 01 05 f6 00 01 8201 c801 01", lzma2), Code::malformed);
  EXPECT_EQ(code("21 05 40 01 05 f0 00 01 8201 c801 01", deflate), Code::malformed) << "level 0";
  EXPECT_EQ(code("21 06 8020 40 01 06 f6 8020 01 8201 c801 01", lzma2), Code::ok);
  EXPECT_EQ(code("21 06 8020 40 01 06 f6 8020 01 8201 c801 01", deflate), Code::malformed);
  EXPECT_EQ(code("21 06 8040 40 01 06 f6 8020 01 8201 c801 01", lzma2), Code::malformed) << "a larger dictionary";
  EXPECT_EQ(code("21 06 8020 40 01 06 f6 8040 01 8201 c801 01", lzma2), Code::malformed) << "a larger dictionary";
  EXPECT_EQ(code("21 06 00 40 01 06 f6 8020 01 8201 c801 01", lzma2), Code::malformed) << "no dictionary";
}

TEST(Blocks, NumbersOutOfBoundsAreRefused) {
  const auto step = [](std::string_view digits) {
    Scene scene;
    scene.control = hex(digits);
    std::uint32_t copied = 0;
    const auto read = read_block_step(scene.reader, kBlock, BlockMethod::zlib, copied);
    return read ? Code::ok : read.error().code;
  };
  EXPECT_EQ(step("65"), Code::ok);
  EXPECT_EQ(step("08"), Code::malformed);          // an end with a value
  EXPECT_EQ(step("8d04"), Code::malformed);        // a block that grows: 65 bytes of 64
  EXPECT_EQ(step("05"), Code::malformed);          // of no bytes
  EXPECT_EQ(step("0e00"), Code::malformed);        // of no content
  EXPECT_EQ(step("0e41"), Code::malformed);        // of more content than a block has
  EXPECT_EQ(step("8a04"), Code::malformed);        // holds more than a block
  EXPECT_EQ(step("0c01"), Code::malformed);        // a copy from before the base
  EXPECT_EQ(step("8c80800400"), Code::malformed);  // of more than 1 MiB
  const auto file = [](std::string_view digits) {
    Scene scene;
    scene.control = hex(digits);
    const auto read = scene.reader.file({2, kBlock, 4096, 0xff});
    return read ? Code::ok : read.error().code;
  };
  EXPECT_EQ(file("21 01 40 01 01 f9 00 02 06 03 19 01"), Code::ok);
  EXPECT_EQ(file("20 01 40 01 01 f9 00 02 06 03 19 01"), Code::malformed);        // without a base
  EXPECT_EQ(file("25 01 40 01 01 f9 00 02 06 03 19 01"), Code::malformed);        // references of the whole
  EXPECT_EQ(file("21 09 40 01 01 f9 00 02 06 03 19 01"), Code::unsupported);      // a method of a later version
  EXPECT_EQ(file("21 01 41 01 01 f9 00 02 06 03 19 01"), Code::malformed);        // larger blocks than promised
  EXPECT_EQ(file("21 01 40 00 02 06 03 19 01"), Code::malformed);                 // no spec
  EXPECT_EQ(file("21 01 40 01 01 f0 00 02 06 03 19 01"), Code::malformed);        // level 0
  EXPECT_EQ(file("21 01 40 01 01 f9 00 03 06 03 19 06 03 01"), Code::malformed);  // more stretches than promised
  EXPECT_EQ(file("21 01 40 01 01 f9 00 01 06 00 01"), Code::malformed);           // one that unpacks to nothing
  EXPECT_EQ(file("21 01 40 01 01 f9 00 01 8201 05 01"), Code::malformed);         // a block of 65 bytes
  Scene scene;
  BlockHead head = head_of_one_spec();
  ASSERT_TRUE(head.old.add({3, 3}));
  for (const char* digits : {"02 0000", "21 0000", "01 01 00 04", "01 01 01 02", "01 01 00 00"}) {
    scene.control = hex(digits);
    scene.at = 0;
    EXPECT_FALSE(scene.reader.part(head)) << digits;
  }
}

TEST(Blocks, AReaderUnpacksAnyPlaceAndFindsDamage) {
  Bytes first(kBlock);
  Bytes second(50);
  for (std::size_t i = 0; i < first.size(); ++i) first[i] = static_cast<std::uint8_t>(i / 9);
  for (std::size_t i = 0; i < second.size(); ++i) second[i] = static_cast<std::uint8_t>(100 + i / 10);
  for (const BlockSpec& spec : {BlockSpec{}, BlockSpec{BlockMethod::xz, 6, 15, 4096}, BlockSpec{BlockMethod::lz4, 0},
                                BlockSpec{BlockMethod::lz4, 12}, BlockSpec{BlockMethod::zstd, 15}}) {
    Scene scene;
    Bytes unpacked;
    BlockTable table;
    const auto put = [&](ByteView packed, ByteView content) {
      scene.base.insert(scene.base.end(), packed.begin(), packed.end());
      unpacked.insert(unpacked.end(), content.begin(), content.end());
      ASSERT_TRUE(table.add({static_cast<std::uint32_t>(packed.size()), static_cast<std::uint32_t>(content.size())}));
    };
    const Bytes one = compressed(first, spec);
    const Bytes two = compressed(second, spec);
    put(one, first);
    put(as_bytes("plain"), as_bytes("plain"));
    put(two, second);
    put({}, Bytes(20));
    BlockReader reader(table, spec.method, scene.read_base, 256);
    for (std::size_t from = 0; from <= unpacked.size(); from += 7) {
      for (std::size_t count = 0; from + count <= unpacked.size(); count += 5) {
        Bytes out(count);
        ASSERT_TRUE(reader.read(from, out));
        ASSERT_TRUE(std::ranges::equal(out, ByteView(unpacked).subspan(from, count))) << from << ", " << count;
      }
    }
    Bytes past(1);
    EXPECT_EQ(code_of(reader.read(unpacked.size(), past)), Code::corrupt);
    BlockReader damaged(table, spec.method, scene.read_base, 256);
    // The others have no checksum: the hash of the file shows it.
    if (spec.method == BlockMethod::zlib || spec.method == BlockMethod::xz) {
      scene.base[one.size() / 2] ^= 0x40;
      EXPECT_EQ(code_of(damaged.read(0, past)), Code::corrupt);
    }
    scene.base.resize(one.size() + 2);
    EXPECT_EQ(code_of(damaged.read(first.size() + 4, past)), Code::corrupt);
  }
}

}  // namespace
}  // namespace instar::delta
