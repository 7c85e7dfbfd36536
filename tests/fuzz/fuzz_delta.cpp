// The head of a delta, and its decoder. The first byte picks:
//   0  a head, and a body behind it, as they are
//   1  streams that are compressed here, so that what is inside them is reached; the base is an ELF file whose sections
//   are the input's
//   2  bases, differences and extras are made once, for all runs; the second byte picks of them, and the input is the
//   control stream, which is what a decoder obeys
// Whatever comes in: an error or some bytes, never more of them than the header allows, and no read outside of the
// base.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/limits.hpp"
#include "core/delta/decoder.hpp"
#include "core/delta/gzip_stream.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_delta {
namespace {

using namespace instar::delta;

constexpr std::uint64_t kOutputMax = 48 * 1024;
constexpr std::size_t kBaseBytes = 20 * 1024;

ReadAt reader_of(ByteView bytes) {
  return [bytes](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    if (offset > bytes.size()) std::abort();
    const std::size_t count = std::min(out.size(), bytes.size() - static_cast<std::size_t>(offset));
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
    return count;
  };
}

void put(Bytes& out, std::size_t at, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out[at + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(value >> (8 * i));
}

// The same for 32-bit Arm.
Bytes make_arm_base(Bytes base, std::uint8_t kinds) {
  constexpr std::array<std::uint8_t, 16> kIdent{0x7f, 'E', 'L', 'F', 1, 1, 1};
  std::copy(kIdent.begin(), kIdent.end(), base.begin());
  const std::size_t headers = kBaseBytes - 9 * 40;
  const std::uint64_t origin = (kinds & 2) * 0x1000;
  put(base, 16, (kinds & 1) != 0 ? 2 : 3, 2);
  put(base, 18, 40, 2);
  put(base, 28, 52, 4);
  put(base, 32, headers, 4);
  constexpr std::array<std::uint16_t, 5> kSizes{32, 2, 40, 9, 8};
  for (std::size_t i = 0; i < kSizes.size(); ++i) put(base, 42 + i * 2, kSizes[i], 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::array<std::uint64_t, 7> numbers{1,         i * 10 * 1024,        i * 10 * 1024 + origin, 0,
                                               10 * 1024, 10 * 1024 + i * 4096, i == 0 ? 5U : 6U};
    for (std::size_t n = 0; n < numbers.size(); ++n) put(base, 52 + i * 32 + n * 4, numbers[n], 4);
  }
  constexpr std::array<std::uint32_t, 8> kTypes{1, 9, 11, 0x70000001, 1, 1, 14, 1};
  constexpr std::array<std::uint32_t, 8> kFlags{6, 2, 2, 2, 2, 3, 3, 6};
  const std::string_view names(".ARM.extab\0.got\0.rodata\0", 25);
  constexpr std::array<std::uint32_t, 8> kNames{16, 16, 16, 16, 0, 11, 16, 16};
  std::copy(names.begin(), names.end(), base.begin() + 200);
  for (std::size_t i = 0; i < 8; ++i) {
    const std::uint64_t offset = 4096 + i * 1536;
    const std::array<std::uint64_t, 7> numbers{kNames[i], kTypes[i], kFlags[i],  offset + origin,
                                               offset,    1536,      (i + 1) % 8};
    for (std::size_t n = 0; n < numbers.size(); ++n) put(base, headers + i * 40 + n * 4, numbers[n], 4);
  }
  put(base, headers + 8 * 40 + 4, 3, 4);
  put(base, headers + 8 * 40 + 16, 200, 4);
  put(base, headers + 8 * 40 + 20, 100, 4);
  return base;
}

// An ELF file of two segments and eight sections, filled with the input.
Bytes make_base(ByteView fill, std::uint8_t kinds) {
  Bytes base(kBaseBytes);
  for (std::size_t i = 0; i < base.size() && !fill.empty(); ++i) base[i] = fill[i % fill.size()];
  if ((kinds & 4) != 0) return make_arm_base(std::move(base), kinds);
  constexpr std::array<std::uint8_t, 16> kIdent{0x7f, 'E', 'L', 'F', 2, 1, 1};
  std::copy(kIdent.begin(), kIdent.end(), base.begin());
  const std::size_t headers = kBaseBytes - 9 * 64;
  put(base, 16, 3, 2);
  put(base, 18, (kinds & 1) != 0 ? 62 : 183, 2);
  put(base, 32, 64, 8);
  put(base, 40, headers, 8);
  put(base, 54, 56, 2);
  put(base, 56, 2, 2);
  put(base, 58, 64, 2);
  put(base, 60, 9, 2);
  put(base, 62, 8, 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::size_t at = 64 + i * 56;
    put(base, at, 1, 4);
    put(base, at + 4, i == 0 ? 5 : 6, 4);
    put(base, at + 8, i * 10 * 1024, 8);
    put(base, at + 16, i * 10 * 1024 + (kinds & 2) * 0x1000, 8);
    put(base, at + 32, 10 * 1024, 8);
    put(base, at + 40, 10 * 1024 + i * 4096, 8);
  }
  constexpr std::array<std::uint32_t, 8> kTypes{1, 4, 11, 1, 1, 1, 14, 1};
  constexpr std::array<std::uint64_t, 8> kFlags{6, 2, 2, 2, 2, 3, 3, 2};
  const std::string_view names(".eh_frame\0.eh_frame_hdr\0.rodata\0.text\0", 39);
  constexpr std::array<std::uint32_t, 8> kNames{32, 32, 32, 0, 10, 24, 24, 24};
  std::copy(names.begin(), names.end(), base.begin() + 200);
  for (std::size_t i = 0; i < 8; ++i) {
    const std::size_t at = headers + i * 64;
    const std::uint64_t offset = 4096 + i * 1536;
    put(base, at, kNames[i], 4);
    put(base, at + 4, kTypes[i], 4);
    put(base, at + 8, kFlags[i], 8);
    put(base, at + 16, offset + (kinds & 2) * 0x1000, 8);
    put(base, at + 24, offset, 8);
    put(base, at + 32, 1536, 8);
    put(base, at + 40, (i + 1) % 8, 4);
  }
  put(base, headers + 8 * 64 + 4, 3, 4);
  put(base, headers + 8 * 64 + 24, 200, 8);
  put(base, headers + 8 * 64 + 32, 100, 8);
  return base;
}

struct Compressed {
  StreamInfo info;
  Bytes bytes;
};

// LZMA of literals only, without liblzma's encoder, whose memory would take longer to get than all else: what is looked
// at is behind it.
class LiteralEncoder {
 public:
  explicit LiteralEncoder(Bytes& out) : out_(out) { literals_.fill(kEven); }

  void put(std::uint8_t byte) {
    encode(no_match_, 0);
    const auto probabilities = std::span(literals_).subspan(kLiteral * (before_ >> (8 - kContextBits)), kLiteral);
    std::size_t symbol = 1;
    for (int at = 7; at >= 0; --at) {
      const unsigned bit = byte >> at & 1U;
      encode(probabilities[symbol], bit);
      symbol = symbol << 1 | bit;
    }
    before_ = byte;
  }
  void finish() {
    for (int i = 0; i < 5; ++i) shift();
  }

  static constexpr unsigned kContextBits = 3;

 private:
  static constexpr std::size_t kLiteral = 0x300;
  static constexpr std::uint16_t kEven = 1024;  // of 2048

  void encode(std::uint16_t& probability, unsigned bit) {
    const std::uint32_t bound = (range_ >> 11) * probability;
    if (bit == 0) {
      range_ = bound;
      probability = static_cast<std::uint16_t>(probability + ((2048 - probability) >> 5));
    } else {
      low_ += bound;
      range_ -= bound;
      probability = static_cast<std::uint16_t>(probability - (probability >> 5));
    }
    while (range_ < 1U << 24) {
      range_ <<= 8;
      shift();
    }
  }
  void shift() {
    if (low_ < 0xff000000U || low_ > 0xffffffffU) {
      for (; held_ > 0; --held_) {
        out_.push_back(static_cast<std::uint8_t>(cache_ + (low_ >> 32)));
        cache_ = 0xff;
      }
      cache_ = static_cast<std::uint8_t>(low_ >> 24);
    }
    ++held_;
    low_ = (low_ & 0x00ffffffU) << 8;
  }

  Bytes& out_;
  std::array<std::uint16_t, kLiteral << kContextBits> literals_{};
  std::uint16_t no_match_ = kEven;
  std::uint8_t before_ = 0;
  std::uint64_t low_ = 0;
  std::uint32_t range_ = 0xffffffff;
  std::uint8_t cache_ = 0;
  std::uint64_t held_ = 1;
};

Compressed compress(ByteView raw) {
  Compressed made;
  made.info.window_bytes = 4096;
  made.info.literal_context_bits = LiteralEncoder::kContextBits;
  made.info.decoded_bytes = raw.size();
  if (raw.empty()) return made;
  made.bytes.reserve(raw.size() + raw.size() / 2 + 16);
  LiteralEncoder encoder(made.bytes);
  for (const auto byte : raw) encoder.put(byte);
  encoder.finish();
  made.info.encoded_bytes = made.bytes.size();
  return made;
}

void decode_all(const DeltaHeader& header, ByteView body, ByteView base) {
  const auto decoder = Decoder::open(header, reader_of(body));
  if (!decoder) return;
  std::uint64_t left = kOutputMax;
  bool skips = false;
  while (true) {
    const auto start = (*decoder)->next_file();
    if (!start || !*start) return;
    const std::uint64_t size = (*start)->size;
    std::uint64_t made = 0;
    // Every third file is passed over, as a device does that has it already.
    skips = !skips && (size % 3) == 0;
    while (true) {
      const auto done = skips ? (*decoder)->skip(4096)
                              : (*decoder)->decode(
                                    {reader_of(base), base.size()},
                                    [&](ByteView bytes) -> Status {
                                      made += bytes.size();
                                      if ((*start)->has_size() && made > size) std::abort();
                                      return {};
                                    },
                                    5000);
      if (!done) return;
      if (*done) break;
      if (made > left || (skips && left < 4096)) return;
      if (skips) left -= 4096;
    }
    if (!skips && (*start)->has_size() && made != size) std::abort();
    left -= std::min(left, made);
  }
}

void decode_as_is(ByteView data) {
  for (const std::size_t head : {data.size(), data.size() / 2, std::min<std::size_t>(data.size(), 100)}) {
    const auto read = read_delta_head(reader_of(data), head);
    if (!read) continue;
    decode_all(read->header, data.subspan(head), data);
  }
}

void decode_made(const std::array<Compressed, kStreamCount>& streams, ByteView base) {
  DeltaHeader header;
  Bytes body;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    header.streams[i] = streams[i].info;
    body.insert(body.end(), streams[i].bytes.begin(), streams[i].bytes.end());
  }
  header.file_count = 4;
  header.operations_max = limits::kDeltaOperationsMax;
  header.block_bytes_max = 4096;
  header.stretches_max = 64;
  header.block_methods = 0x7e;
  header.dictionary_bytes_max = 4096;
  header.uses_arm = true;
  decode_all(header, body, base);
}

// Calls, jumps and addresses of x86-64, then branches, pages and parts of pages of AArch64.
constexpr std::array<std::uint8_t, 57> kCode{
    0xe8, 0x00, 0x01, 0x00, 0x00, 0x48, 0x8d, 0x05, 0xf0, 0x00, 0x00, 0x00, 0xe9, 0x10, 0x00, 0x00, 0x00, 0x0f, 0x84,
    0x10, 0x00, 0x00, 0x00, 0x90, 0x00, 0x01, 0x00, 0x94, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x91, 0x00, 0x00,
    0x40, 0x9e, 0x14, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00};

// 32-bit Arm: calls, a load of a word and what adds the counter, a pair of halves, an entry of the linkage table, in
// A32; then such in Thumb.
constexpr std::array<std::uint8_t, 76> kArmCode{
    0xfe, 0xff, 0xff, 0xeb, 0x08, 0x30, 0x9f, 0xe5, 0x03, 0x30, 0x8f, 0xe0, 0x00, 0x10, 0x00, 0xe3, 0x00, 0x10, 0x40,
    0xe3, 0x01, 0x10, 0x8f, 0xe0, 0x00, 0xc6, 0x8f, 0xe2, 0x02, 0xca, 0x8c, 0xe2, 0x56, 0xf4, 0xbc, 0xe5, 0x00, 0xf0,
    0x10, 0xf8, 0x01, 0x4b, 0x7b, 0x44, 0x40, 0xf2, 0x10, 0x01, 0xc0, 0xf2, 0x00, 0x01, 0x79, 0x44, 0x00, 0xbf, 0xfe,
    0xe7, 0x02, 0xd0, 0x00, 0xf0, 0x00, 0x80, 0xdf, 0xf8, 0x08, 0x30, 0x20, 0x00, 0x00, 0x7f, 0x00, 0x01, 0x00, 0x00};

Bytes make_gzip(ByteView content) {
  GzipRecipe recipe;
  recipe.level = 1;
  recipe.header = usual_gzip_header(recipe.level);
  Bytes file;
  GzipWriter writer(recipe, [&](ByteView made) -> Status {
    file.insert(file.end(), made.begin(), made.end());
    return {};
  });
  if (!writer.write(content) || !writer.finish()) std::abort();
  return file;
}

// What all runs share: none of it depends on an input.
struct Lasting {
  std::vector<Bytes> bases;
  std::vector<Compressed> differences;
  std::vector<Compressed> extras;

  Lasting() {
    for (std::uint8_t kinds = 0; kinds < 4; ++kinds) bases.push_back(make_base(kCode, kinds));
    const Bytes ramp = pattern([](std::size_t i) { return i / 3; });
    bases.push_back(make_gzip(ByteView(ramp).first(8192)));
    bases.push_back(to_bytes(as_bytes("no program, and short")));
    for (std::uint8_t kinds = 4; kinds < 6; ++kinds) bases.push_back(make_base(kArmCode, kinds));
    differences.push_back(compress(Bytes(kBaseBytes * 2)));
    differences.push_back(compress(pattern([](std::size_t i) { return i % 61 == 0 ? i : 0; })));
    differences.push_back(compress(pattern([](std::size_t i) { return i * 2'654'435'761U >> 13; })));
    extras.push_back(compress(ramp));
    extras.push_back(compress(bases[0]));
    extras.push_back(compress({}));
  }

 private:
  template <typename Function>
  static Bytes pattern(Function byte_at) {
    Bytes made(kBaseBytes * 2);
    for (std::size_t i = 0; i < made.size(); ++i) made[i] = static_cast<std::uint8_t>(byte_at(i));
    return made;
  }
};

const Lasting& lasting() {
  static const Lasting kLasting;
  return kLasting;
}

template <typename Item>
const Item& pick(const std::vector<Item>& all, unsigned number) {
  return all[number % all.size()];
}

void decode_streams(ByteView data) {
  if (data.size() < 8) return;
  const std::size_t control_bytes =
      std::min<std::size_t>(data.size() - 4, std::size_t{data[1]} + std::size_t{data[2]} * 16);
  const ByteView control = data.subspan(4, control_bytes);
  const ByteView rest = data.subspan(4 + control_bytes);
  decode_made({compress(control), pick(lasting().differences, data[3]), compress(rest)}, make_base(rest, data[0]));
}

void decode_control(ByteView data) {
  if (data.empty()) return;
  decode_made({compress(data.subspan(1)), pick(lasting().differences, data[0] >> 3 & 3U),
               pick(lasting().extras, data[0] >> 5 & 3U)},
              pick(lasting().bases, data[0] & 7U));
}

void run(ByteView data) {
  const ByteView rest = data.subspan(1);
  switch (data[0] % 3) {
    case 0: decode_as_is(rest); break;
    case 1: decode_streams(rest); break;
    default: decode_control(rest); break;
  }
}

}  // namespace
}  // namespace instar::fuzz_delta

INSTAR_FUZZ_TARGET(delta, instar::fuzz_delta::run)
