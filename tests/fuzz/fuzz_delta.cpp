// The head of a delta, and its decoder. The first byte picks:
//   0  a head, and a body behind it, as they are
//   1  streams that are compressed here, so that what is inside them is reached; the base is an ELF file whose sections
//   are the input's
// Whatever comes in: an error or some bytes, never more of them than the header allows, and no read outside of the
// base.
#include <lzma.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

#include "core/base/limits.hpp"
#include "core/delta/decoder.hpp"

namespace {

using namespace instar;
using namespace instar::delta;

constexpr std::uint64_t kOutputMax = 96 * 1024;
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

// An ELF file of two segments and eight sections, filled with the input.
Bytes make_base(ByteView fill, std::uint8_t kinds) {
  Bytes base(kBaseBytes);
  for (std::size_t i = 0; i < base.size() && !fill.empty(); ++i) base[i] = fill[i % fill.size()];
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

// Quick and bad: what is looked at is behind it.
Compressed compress(ByteView raw) {
  Compressed made;
  made.info.window_bytes = 65536;
  made.info.literal_context_bits = 3;
  made.info.decoded_bytes = raw.size();
  if (raw.empty()) return made;
  lzma_options_lzma options{};
  if (lzma_lzma_preset(&options, 0)) std::abort();
  options.dict_size = made.info.window_bytes;
  options.pb = 0;
  const std::array<lzma_filter, 2> filters{{{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, nullptr}}};
  made.bytes.resize(raw.size() + raw.size() / 2 + 4096);
  std::size_t bytes = 0;
  if (lzma_raw_buffer_encode(filters.data(), nullptr, raw.data(), raw.size(), made.bytes.data(), &bytes,
                             made.bytes.size()) != LZMA_OK)
    std::abort();
  made.bytes.resize(bytes);
  made.info.encoded_bytes = bytes;
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
                                      if (!(*start)->is_gzip && made > size) std::abort();
                                      return {};
                                    },
                                    5000);
      if (!done) return;
      if (*done) break;
      if (made > left || (skips && left < 4096)) return;
      if (skips) left -= 4096;
    }
    if (!skips && !(*start)->is_gzip && made != size) std::abort();
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

void decode_streams(ByteView data) {
  if (data.size() < 8) return;
  const std::uint8_t kinds = data[0];
  const std::size_t control_bytes =
      std::min<std::size_t>(data.size() - 4, std::size_t{data[1]} + std::size_t{data[2]} * 16);
  const ByteView control = data.subspan(4, control_bytes);
  const ByteView rest = data.subspan(4 + control_bytes);
  const Bytes base = make_base(rest, kinds);
  // Mostly zeros, as differences are, and as much as one copy of the base and some.
  Bytes difference(kBaseBytes * 2);
  std::copy_n(rest.begin(), std::min(rest.size(), difference.size() / 4),
              difference.begin() + static_cast<std::ptrdiff_t>(data[3]) * 64);
  DeltaHeader header;
  Bytes body;
  const std::array<Bytes, 3> raw{to_bytes(control), difference, to_bytes(rest)};
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const Compressed made = compress(raw[i]);
    header.streams[i] = made.info;
    body.insert(body.end(), made.bytes.begin(), made.bytes.end());
  }
  header.file_count = 4;
  header.operations_max = limits::kDeltaOperationsMax;
  decode_all(header, body, base);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  if (data[0] == 0) {
    decode_as_is(rest);
  } else {
    decode_streams(rest);
  }
  return 0;
}
