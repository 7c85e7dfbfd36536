// Index, pack directory, pack head and chunks: what a device and a broker read of an artifact.
#include <cstdint>

#include "core/artifact/codec.hpp"
#include "core/artifact/index.hpp"
#include "core/artifact/pack.hpp"
#include "core/base/assert.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_index {
namespace {

using namespace instar::artifact;

// What is accepted is canonical: it is written again as the same bytes.
void index(ByteView input) {
  const IndexRules rules{.devices_allowed = true};
  const auto entries = read_index(input, rules);
  if (!entries.has_value()) {
    INSTAR_ASSERT(!entries.error().message.empty());
    return;
  }
  Bytes written;
  IndexWriter writer(written, rules);
  for (const Entry& entry : *entries) {
    INSTAR_ASSERT(entry.path.find("..") == std::string::npos ||
                  ("/" + entry.path + "/").find("/../") == std::string::npos);
    INSTAR_ASSERT(!entry.path.starts_with('/'));
    INSTAR_ASSERT(writer.append(entry).has_value());
  }
  INSTAR_ASSERT(writer.finish().has_value());
  INSTAR_ASSERT(written == to_bytes(input));
  (void)stream_files(*entries);
}

void directory(ByteView input) {
  const auto directory = decode_directory(input);
  if (directory.has_value()) INSTAR_ASSERT(encode_directory(*directory) == to_bytes(input));
}

// Any cut of the stream gives the same verdict.
void head(ByteView input) {
  if (input.size() < 3) return;
  const std::uint64_t index_bytes = input[0] | input[1] << 8;
  const std::size_t step = input[2] + std::size_t{1};
  input = input.subspan(3);
  const auto read = [&](std::size_t piece_bytes) {
    std::uint64_t offset = 0;
    PackHeadReader reader(
        index_bytes, [](const Entry&) { return Status{}; },
        [&](const BodyChunk& chunk) {
          INSTAR_ASSERT(chunk.offset == offset);
          offset += chunk.ref.decoded_bytes;
          return Status{};
        });
    for (std::size_t at = 0; at < input.size(); at += piece_bytes) {
      if (!reader.feed(input.subspan(at, std::min(piece_bytes, input.size() - at))).has_value()) return false;
    }
    return reader.finish().has_value();
  };
  INSTAR_ASSERT(read(step) == read(input.size() + 1));
}

void chunk(ByteView input) {
  if (input.size() < 4) return;
  ChunkRef ref;
  ref.codec = static_cast<Codec>(input[0] % 3);
  ref.decoded_bytes = static_cast<std::uint32_t>(input[1] | input[2] << 8 | input[3] << 16);
  input = input.subspan(4);
  ref.encoded_bytes = static_cast<std::uint32_t>(input.size());
  const auto decoded = decode_chunk(ref, input);
  if (decoded.has_value()) INSTAR_ASSERT(decoded->size() == ref.decoded_bytes);
}

void run(ByteView data) {
  const ByteView input = data.subspan(1);
  switch (data[0] % 4) {
    case 0: index(input); break;
    case 1: directory(input); break;
    case 2: head(input); break;
    default: chunk(input); break;
  }
}

}  // namespace
}  // namespace instar::fuzz_index

INSTAR_FUZZ_TARGET(index, instar::fuzz_index::run)
