// Put and stored: an operator's upload and the broker's answer.
#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/messages.hpp"
#include "schemas/put_generated.h"
#include "schemas/stored_generated.h"

namespace instar::wire {
namespace {

Result<Put> read_put(const fb::Put& from) {
  Put put;
  INSTAR_TRY(put.kind, read_enum(from.kind(), PutKind::chunk, "kind"));
  const bool directory = put.kind == PutKind::directory;
  INSTAR_TRY(put.pack, read_id<PackId>(from.pack(), "pack"));
  INSTAR_CHECK(check_range(from.ordinal(), 0, directory ? 0 : limits::kPackChunksMax - 1, "ordinal"));
  put.ordinal = from.ordinal();
  INSTAR_CHECK(check_range(from.total_bytes(), 1,
                           directory ? limits::kDirectoryBytesMax : limits::kChunkEncodedBytesMax, "total_bytes"));
  put.total_bytes = from.total_bytes();
  const std::size_t size = count_of(from.data());
  INSTAR_CHECK(check_range(size, 1, limits::kPutPieceBytesMax, "data (bytes)"));
  if (size > put.total_bytes || from.offset() > put.total_bytes - size)
    return bad_field("data", "runs past total_bytes");
  put.offset = from.offset();
  put.data.assign(from.data()->begin(), from.data()->end());
  return put;
}

Result<OrdinalRange> read_ordinals(const fb::OrdinalRange* from) {
  INSTAR_CHECK(check_range(from->count(), 1, limits::kPackChunksMax, "count"));
  INSTAR_CHECK(check_range(from->first(), 0, limits::kPackChunksMax - from->count(), "first"));
  return OrdinalRange{from->first(), from->count()};
}

Result<Stored> read_stored(const fb::Stored& from) {
  Stored stored;
  INSTAR_TRY(stored.pack, read_id<PackId>(from.pack(), "pack"));
  INSTAR_TRY(stored.missing,
             read_each<OrdinalRange>(from.missing(), "missing", 0, limits::kStoredRangesMax, read_ordinals));
  INSTAR_TRY(stored.durable,
             read_each<OrdinalRange>(from.durable(), "durable", 0, limits::kStoredRangesMax, read_ordinals));
  stored.complete = from.complete();
  stored.directory = from.directory();
  stored.code = static_cast<Code>(from.code());
  INSTAR_TRY(stored.reason, read_text(from.reason(), "reason", limits::kTextBytesMax));
  if (stored.complete && !stored.missing.empty()) return bad_field("missing", "is there though the pack is complete");
  return stored;
}

using FlatRanges = flatbuffers::Vector<flatbuffers::Offset<fb::OrdinalRange>>;

// Absent when empty.
flatbuffers::Offset<FlatRanges> write_ranges(FlatBuilder& builder, const std::vector<OrdinalRange>& ranges) {
  std::vector<flatbuffers::Offset<fb::OrdinalRange>> offsets;
  offsets.reserve(ranges.size());
  for (const OrdinalRange& range : ranges) offsets.push_back(fb::CreateOrdinalRange(builder, range.first, range.count));
  return offsets.empty() ? flatbuffers::Offset<FlatRanges>{} : builder.CreateVector(offsets);
}

}  // namespace

Bytes encode(const Put& put) {
  FlatBuilder builder(put.data.size() + 128);
  const auto data = builder.CreateVector(put.data);
  const auto pack = flat_hash(put.pack);
  const auto table =
      fb::CreatePut(builder, static_cast<fb::PutKind>(put.kind), &pack, put.ordinal, put.total_bytes, put.offset, data);
  builder.Finish(table, fb::PutIdentifier());
  return flat::take(builder);
}

Result<Put> decode_put(ByteView bytes) {
  INSTAR_TRY(const auto from, flat::open<fb::Put>(bytes, "put", fb::PutIdentifier()));
  return read_in("put", read_put(*from));
}

Bytes encode(const Stored& stored) {
  FlatBuilder builder(256);
  const auto missing = write_ranges(builder, stored.missing);
  const auto durable = write_ranges(builder, stored.durable);
  const auto reason = write_clean(builder, stored.reason, limits::kTextBytesMax);
  const auto pack = flat_hash(stored.pack);
  const auto table = fb::CreateStored(builder, &pack, missing, durable, stored.complete,
                                      static_cast<std::uint16_t>(stored.code), reason, stored.directory);
  builder.Finish(table, fb::StoredIdentifier());
  return flat::take(builder);
}

Result<Stored> decode_stored(ByteView bytes) {
  INSTAR_TRY(const auto from, flat::open<fb::Stored>(bytes, "stored", fb::StoredIdentifier()));
  return read_in("stored", read_stored(*from));
}

}  // namespace instar::wire
