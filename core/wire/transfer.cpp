// Fetch and chunk: the two halves of a transfer.
#include <algorithm>

#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/messages.hpp"
#include "schemas/chunk_generated.h"
#include "schemas/fetch_generated.h"

namespace instar::wire {
namespace {

Result<ChunkRange> read_chunks(const fb::ChunkRange* from) {
  INSTAR_CHECK(check_range(from->count(), 1, limits::kPackChunksMax, "count"));
  INSTAR_CHECK(check_range(from->first(), 0, limits::kPackChunksMax - from->count(), "first"));
  INSTAR_CHECK(check_range(from->offset(), 0, limits::kChunkEncodedBytesMax - 1, "offset"));
  return ChunkRange{from->first(), from->count(), from->offset()};
}

Result<Fetch> read_fetch(const fb::Fetch& from) {
  Fetch fetch;
  fetch.session = from.session();
  if (from.pack() != nullptr) {
    INSTAR_TRY(fetch.pack, read_id<PackId>(from.pack(), "pack"));
  }
  INSTAR_TRY(fetch.ranges, read_each<ChunkRange>(from.ranges(), "ranges", 0, limits::kFetchRangesMax, read_chunks));
  if (!fetch.pack && !fetch.ranges.empty()) return bad_field("ranges", "are there without a pack");
  fetch.received_bytes = from.received_bytes();
  // A later client may ask for more than this version allows. It gets what this version allows.
  fetch.window_bytes = std::min(from.window_bytes(), limits::kWindowBytesMax);
  fetch.piece_bytes_max = std::clamp(from.piece_bytes_max(), limits::kPieceBytesMin, limits::kPieceBytesMax);
  fetch.rollout = from.rollout();
  return fetch;
}

Result<ChunkPiece> read_piece(const fb::ChunkPiece& from) {
  ChunkPiece piece;
  piece.session = from.session();
  INSTAR_TRY(piece.fault, read_enum(from.fault(), ChunkFault::not_offered, "fault"));
  const bool past_all = piece.fault == ChunkFault::position && from.ordinal() == kNoOrdinal;
  if (!past_all) INSTAR_CHECK(check_range(from.ordinal(), 0, limits::kPackChunksMax - 1, "ordinal"));
  piece.ordinal = from.ordinal();
  const std::size_t size = count_of(from.data());
  const bool fault = piece.fault != ChunkFault::none;
  if (fault && size != 0) return bad_field("data", "is there beside a fault");
  if (!fault) INSTAR_CHECK(check_range(size, 1, limits::kPieceBytesMax, "data (bytes)"));
  INSTAR_CHECK(check_range(from.offset(), 0, limits::kChunkEncodedBytesMax - size, "offset"));
  piece.offset = from.offset();
  if (size != 0) piece.data.assign(from.data()->begin(), from.data()->end());
  return piece;
}

}  // namespace

Bytes encode(const Fetch& fetch) {
  FlatBuilder builder(256);
  std::vector<flatbuffers::Offset<fb::ChunkRange>> offsets;
  for (const ChunkRange& range : fetch.ranges)
    offsets.push_back(fb::CreateChunkRange(builder, range.first, range.count, range.offset));
  const auto ranges = offsets.empty() ? 0 : builder.CreateVector(offsets);
  const auto pack = flat_hash(fetch.pack.value_or(PackId{}));
  const auto table = fb::CreateFetch(builder, fetch.session, fetch.pack ? &pack : nullptr, ranges, fetch.received_bytes,
                                     fetch.window_bytes, fetch.piece_bytes_max, fetch.rollout);
  builder.Finish(table, fb::FetchIdentifier());
  return flat::take(builder);
}

Result<Fetch> decode_fetch(ByteView bytes) {
  INSTAR_TRY(const auto from, flat::open<fb::Fetch>(bytes, "fetch", fb::FetchIdentifier()));
  return read_in("fetch", read_fetch(*from));
}

Bytes encode(const ChunkPiece& piece) {
  FlatBuilder builder(piece.data.size() + 128);
  const auto data = piece.data.empty() ? 0 : builder.CreateVector(piece.data);
  const auto table = fb::CreateChunkPiece(builder, piece.session, piece.ordinal, piece.offset, data,
                                          static_cast<fb::ChunkFault>(piece.fault));
  builder.Finish(table, fb::ChunkPieceIdentifier());
  return flat::take(builder);
}

Result<ChunkPiece> decode_chunk_piece(ByteView bytes) {
  INSTAR_TRY(const auto from, flat::open<fb::ChunkPiece>(bytes, "chunk", fb::ChunkPieceIdentifier()));
  return read_in("chunk", read_piece(*from));
}

}  // namespace instar::wire
